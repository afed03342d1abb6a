package replica

import "github.com/latchkey/latchkey/storage"

// act is one thing that happens: to the hub, or to a replica.
type act struct {
	kind    actKind
	replica uint8
}

type actKind uint8

const (
	revokes actKind = iota
	writes
	backsUp
	restores
	hubRestarts
	timePasses

	syncs // a session until all is applied; what it acknowledges is on its way
	syncsAndSays
	saysSo // the acknowledgement comes to the hub
	asks
	isAnswered // the hub answers; the answer is on its way
	asksAndIsAnswered
	hears // the answer comes
	proves
	losesSession
	remembers
	restarts
	reboots
	copiesFile
	putsBack
	losesFile
	actKinds
)

var actNames = [actKinds]string{
	"revoke", "write", "backup", "restore", "hub restarts", "tick",
	"sync", "sync and ack", "ack", "ask", "answer", "ask and answer", "answer comes", "sync, ask, answer and answer comes", "session lost",
	"lease written down", "restart", "reboot", "copy of the file", "file put back", "file lost",
}

// do does it, and reports whether it can happen, and anything came of it.
func (u *universe) do(g *globe, a act) bool {
	if a.kind >= syncs {
		before := g.cells[a.replica]
		return u.doReplica(g, &g.cells[a.replica], a.kind) && g.cells[a.replica] != before
	}
	switch a.kind {
	case revokes:
		k := uint8(0)
		for g.revoked&(1<<k) != 0 {
			k++
		}
		if k == exploreKeys {
			return false
		}
		g.revoked |= 1 << k
		g.write(g.now().revoked() | 1<<k)
		g.at[k], g.written[k] = g.now(), 0
	case writes:
		g.write(g.now().revoked())
	case backsUp:
		g.backup = g.now()
	case restores:
		if g.backup == 0 {
			return false
		}
		g.log = [exploreKept]mark{exploreKept - 1: g.backup}
		g.epoch++
		revoked := g.backup.revoked()
		if !u.noTombstones {
			revoked |= g.revoked
		}
		g.write(revoked)
		g.forget(u)
	case hubRestarts:
		g.forget(u)
	case timePasses:
		for k := range g.written {
			pass(&g.written[k])
		}
		for i := range u.replicas {
			c := &g.cells[i]
			pass(&c.lease)
			pass(&c.disk)
			pass(&c.asked)
			pass(&c.heard)
			c.tidy()
		}
	}
	return true
}

func pass(age *uint8) { *age = min(*age+1, over) }

// tidy lets go of what makes no difference.
func (c *cell) tidy() {
	if c.disk == over {
		c.leased = 0
	}
}

func (g *globe) write(revoked uint8) {
	next := markOf(uint64(g.epoch), g.now().revision()+1, uint16(revoked))
	copy(g.log[:], g.log[1:])
	g.log[exploreKept-1] = next
}

// forget is the start of a hub: all sessions are gone, and of replicas it knows only that they were there.
func (g *globe) forget(u *universe) {
	for i := range u.replicas {
		c := &g.cells[i]
		s := u.state(c)
		s.End()
		c.keep(&s)
		c.acking, c.applied, c.told = 0, 0, 0
		if c.flags&known != 0 {
			c.heard = 0
		}
		c.tidy()
	}
}

// since is what storage.DB.Since says of a position: nothing of one that the log has.
func (u *universe) since(g *globe, at storage.Position) error {
	oldest := g.now()
	for _, m := range g.log {
		if m != 0 && u.positions[m] == at {
			return nil
		}
		if m != 0 && m.revision() < oldest.revision() {
			oldest = m
		}
	}
	if at.Revision < oldest.revision() {
		return storage.ErrTrimmed
	}
	return storage.ErrDiverged
}

func (u *universe) doReplica(g *globe, c *cell, kind actKind) bool {
	defer c.tidy()
	switch kind {
	case syncs:
		u.sync(g, c)
	case syncsAndSays:
		u.sync(g, c)
		u.ack(g, c)
	case saysSo:
		u.ack(g, c)
	case asks:
		return u.ask(g, c)
	case isAnswered:
		return g.answer(c)
	case asksAndIsAnswered:
		return u.ask(g, c) && g.answer(c)
	case hears:
		return u.hear(c)
	case proves:
		u.sync(g, c)
		return u.ask(g, c) && g.answer(c) && u.hear(c)
	case losesSession:
		s := u.state(c)
		s.End()
		c.keep(&s)
	case remembers:
		c.disk, c.leased = c.lease, c.at
	case restarts:
		u.restart(c, c.at)
	case reboots:
		c.disk = over
		u.restart(c, c.at)
	case copiesFile:
		c.old = c.at
	case putsBack:
		if c.old == 0 {
			return false
		}
		u.restart(c, c.old)
	case losesFile:
		u.restart(c, 0)
	}
	return true
}

// restart begins a process on what the disk has: see node.restart.
func (u *universe) restart(c *cell, at mark) {
	floor := u.positions[c.floor]
	c.at = at
	s := State{At: u.positions[at], Floor: floor}
	if u.noWatermark || floor.Before(s.At) {
		s.Floor = s.At
	}
	if u.noWatermark || !s.At.Before(u.positions[c.leased]) {
		s.Lease = leaseOf(c.disk)
	}
	c.keep(&s)
}
