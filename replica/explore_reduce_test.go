package replica

import "math/bits"

// reduce makes worlds the same that can't be told apart by anything that may happen, so that each is visited once.
func (u *universe) reduce(g *globe) {
	cells := g.cells[:u.replicas]
	said := uint8(1<<exploreKeys - 1)
	for i := range cells {
		said &= cells[i].promised
	}
	for k := range exploreKeys {
		// What was said of a key to all of them isn't said again.
		if said&(1<<k) != 0 {
			g.at[k], g.written[k] = 0, over
		}
	}
	for i := range cells {
		c := &cells[i]
		// Of these positions it is asked only which revocations they have.
		c.applied, c.told, c.acking = u.reach(g, c, c.applied), u.reach(g, c, c.told), u.reach(g, c, c.acking)
		if !u.before(c.applied, c.acking) {
			c.acking = 0
		}
	}
	if !u.noEpoch {
		u.renumber(g)
	}
}

// reach returns the furthest revocation that a position has, of those that nothing was said of yet.
func (u *universe) reach(g *globe, c *cell, at mark) (furthest mark) {
	for k := range exploreKeys {
		if m := g.at[k]; m != 0 && c.promised&(1<<k) == 0 && !u.before(at, m) && u.before(furthest, m) {
			furthest = m
		}
	}
	return furthest
}

func (u *universe) before(a, b mark) bool { return u.positions[a].Before(u.positions[b]) }

// renumber takes out epochs and revisions that nothing is at any more. They are only ever compared.
func (u *universe) renumber(g *globe) {
	var epochs, revisions uint32
	g.marks(u.replicas, func(m *mark) {
		if *m != 0 {
			epochs |= 1 << m.epoch()
			revisions |= 1 << m.revision()
		}
	})
	epochs |= 1 << g.epoch
	rank := func(of uint32, n uint64) uint64 { return uint64(bits.OnesCount32(of&(1<<n-1))) + 1 }
	g.marks(u.replicas, func(m *mark) {
		if *m != 0 {
			*m = markOf(rank(epochs, m.epoch()), rank(revisions, m.revision()), uint16(m.revoked()))
		}
	})
	g.epoch = uint8(rank(epochs, uint64(g.epoch)))
}

// marks visits all marks of the world.
func (g *globe) marks(replicas int, visit func(*mark)) {
	for i := range g.log {
		visit(&g.log[i])
	}
	visit(&g.backup)
	for i := range g.at {
		visit(&g.at[i])
	}
	for i := range g.cells[:replicas] {
		c := &g.cells[i]
		for _, m := range []*mark{&c.at, &c.floor, &c.old, &c.leased, &c.flight, &c.acking, &c.applied, &c.told} {
			visit(m)
		}
	}
}
