package replica

import (
	"slices"
	"time"

	"github.com/latchkey/latchkey/storage"
)

// The world of the exploration: one hub and its replicas as small numbers that can be compared, hashed and kept by
// the million. For each action they are turned into State and Peer, so that what is explored is the product's code.

const (
	exploreReplicas = 3
	exploreKeys     = 2
	exploreKept     = 2 // versions that the hub's log has
	tick            = time.Second
	exploreLimit    = 2 * tick
	over            = 3 // the age of what is longer ago than the limit
)

// exploreNow is the present: all moments are told by how many ticks ago they were.
const exploreNow = Instant(time.Hour)

func ago(age uint8) Instant { return exploreNow - Instant(age)*tick }

func ageOf(i Instant) uint8 { return uint8(min((exploreNow-i)/tick, over)) }

// mark is a version as a number: its revision in five bits, its epoch in three, and the revoked keys in two. Zero is
// none. No two versions have the same, since one hub alone writes at a time.
type mark uint16

const marks = 1 << 10

func markOf(epoch, revision uint64, revoked uint16) mark {
	if revision > 31 || epoch > 7 {
		panic("a mark has no room for this version")
	}
	return mark(revision | epoch<<5 | uint64(revoked)<<8)
}

func (m mark) revision() uint64 { return uint64(m) & 31 }
func (m mark) epoch() uint64    { return uint64(m) >> 5 & 7 }
func (m mark) revoked() uint8   { return uint8(m >> 8) }

// markAt is the mark of a position.
func markAt(p storage.Position) mark {
	return markOf(p.Epoch, p.Revision, uint16(p.Digest[0]))
}

// cell is a replica with its disk, its session, and what the hub knows of it.
type cell struct {
	at, floor mark
	old       mark // a copy of the store's file
	leased    mark // where the store was when the lease was written down
	flight    mark // position of an answer that is on its way
	acking    mark // an acknowledgement that is on its way
	applied   mark // Peer.Applied
	told      mark // Peer.Told
	lease     uint8
	disk      uint8 // the lease that is written down
	asked     uint8 // by the session's question
	heard     uint8 // Peer.Asked
	promised  uint8 // keys of which the hub said that they are dead here
	flags     flags
}

type flags uint8

const (
	open    flags = 1 << iota // a session
	waiting                   // for the answer to a question
	whole                     // State.Whole
	known                     // Peer.Leased
	pending                   // a question waits at the hub
)

func (f *flags) set(which flags, to bool) {
	*f &^= which
	if to {
		*f |= which
	}
}

// globe is the world: what the hub has, and the replicas in any order.
type globe struct {
	log     [exploreKept]mark // the hub's, oldest first: the last one is where it is
	backup  mark              // where it ends; 0: none
	at      [exploreKeys]mark // of each revocation
	written [exploreKeys]uint8
	epoch   uint8
	revoked uint8 // keys that ever were
	cells   [exploreReplicas]cell
}

func (g *globe) now() mark { return g.log[exploreKept-1] }

// universe is what doesn't change in an exploration.
type universe struct {
	protections
	replicas  int
	positions [marks]storage.Position
}

func newUniverse(p protections, replicas int) *universe {
	u := &universe{protections: p, replicas: replicas}
	for m := mark(1); m < marks; m++ {
		u.positions[m] = p.position(m.epoch(), m.revision(), contents{uint16(m.revoked()), m.revision()<<8 | m.epoch()})
	}
	return u
}

// start is a hub of one write, and replicas that it has never seen.
func (u *universe) start() globe {
	g := globe{epoch: 1}
	g.log[exploreKept-1] = markOf(1, 1, 0)
	for i := range u.replicas {
		g.cells[i] = cell{lease: over, disk: over, asked: over, heard: over}
	}
	return g
}

// state is the replica's side as the product has it.
func (u *universe) state(c *cell) State {
	s := State{At: u.positions[c.at], Floor: u.positions[c.floor], Whole: c.flags&whole != 0, Lease: leaseOf(c.lease)}
	if c.flags&open != 0 {
		s.session = session{phase: following, limit: exploreLimit}
		if c.flags&waiting != 0 {
			s.session.number, s.session.waiting, s.session.asked = 1, true, ago(c.asked)
		}
	}
	return s
}

func leaseOf(age uint8) Lease {
	if age >= over {
		return Lease{}
	}
	return Lease{Proven: true, Asked: ago(age), Limit: exploreLimit}
}

// keep takes the replica's side back. Where its store is, only who changes that knows.
func (c *cell) keep(s *State) {
	c.floor, c.lease, c.asked = markAt(s.Floor), over, over
	if s.Lease.Proven {
		c.lease = ageOf(s.Lease.Asked)
	}
	c.flags.set(whole, s.Whole)
	c.flags.set(open, s.session.phase == following)
	c.flags.set(waiting, s.session.waiting)
	if s.session.waiting {
		c.asked = ageOf(s.session.asked)
	}
	if s.session.phase != following {
		c.flight = 0
		c.flags.set(pending, false)
	}
}

// peer is the hub's side as the product has it.
func (u *universe) peer(c *cell) Peer {
	if c.flags&known == 0 {
		return Peer{Limit: exploreLimit, Applied: u.positions[c.applied]}
	}
	return Peer{Applied: u.positions[c.applied], Limit: exploreLimit, Asked: ago(c.heard), Told: u.positions[c.told], Leased: true}
}

func (c *cell) note(p *Peer) {
	c.applied, c.told, c.heard = markAt(p.Applied), markAt(p.Told), ageOf(p.Asked)
	c.flags.set(known, p.Leased)
}

// settle notes what the hub says of a replica by now, and reports whether the replica keeps it.
func (u *universe) settle(g *globe, c *cell) bool {
	p := u.peer(c)
	for k := range exploreKeys {
		unsaid := g.revoked&^c.promised&(1<<k) != 0
		if unsaid && p.Standing(u.positions[g.at[k]], ago(g.written[k]), exploreNow) != Missing {
			c.promised |= 1 << k
		}
	}
	return c.promised&^c.at.revoked() == 0 || !u.answers(c)
}

// happens does an act, and reports whether it can happen, and whether all keep what was said.
func (u *universe) happens(g *globe, a act) (can, kept bool) {
	if !u.do(g, a) {
		return false, true
	}
	if a.kind >= syncs {
		return true, u.settle(g, &g.cells[a.replica])
	}
	kept = true
	for i := range g.cells[:u.replicas] {
		kept = u.settle(g, &g.cells[i]) && kept
	}
	return true, kept
}

func (u *universe) answers(c *cell) bool {
	s := u.state(c)
	return s.Fresh(exploreNow) || u.noLease && s.At.Revision > 0 && !s.At.Before(s.Floor)
}

// key is a cell in three numbers.
func (c *cell) key() [3]uint64 {
	return [3]uint64{
		uint64(c.at) | uint64(c.floor)<<16 | uint64(c.old)<<32 | uint64(c.leased)<<48,
		uint64(c.flight) | uint64(c.acking)<<16 | uint64(c.applied)<<32 | uint64(c.told)<<48,
		uint64(c.lease) | uint64(c.disk)<<8 | uint64(c.asked)<<16 | uint64(c.heard)<<32 | uint64(c.promised)<<40 | uint64(c.flags)<<48,
	}
}

// compareCells puts replicas into an order that depends on nothing but what they are.
func compareCells(a, b cell) int {
	x, y := a.key(), b.key()
	return slices.Compare(x[:], y[:])
}
