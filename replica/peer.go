package replica

import (
	"errors"
	"time"

	"github.com/latchkey/latchkey/storage"
)

// Course is how a hub goes on with a replica.
type Course uint8

// The courses.
const (
	Undecided Course = iota
	Entries          // with what follows the replica's position
	Snapshot         // with all that there is
	Behind           // not at all: the replica is ahead
	Other            // not at all: it is of the hub's epoch, and of another history
)

// CourseFor decides how a hub goes on with a replica at a position, which may insist on a snapshot. why is
// what storage.DB.Since says of that position.
func CourseFor(hub, at storage.Position, whole bool, why error) Course {
	switch {
	case hub.Before(at):
		return Behind
	case at.Epoch == hub.Epoch && errors.Is(why, storage.ErrDiverged):
		// Two processes wrote to copies of one store: who of them is right, a snapshot must not decide.
		return Other
	case whole:
		return Snapshot
	case why == nil && at.Epoch > 0:
		return Entries
	case why == nil, errors.Is(why, storage.ErrTrimmed), errors.Is(why, storage.ErrDiverged):
		return Snapshot
	}
	return Undecided
}

// Peer is what a hub knows of a replica, as far as promises depend on it. It is a plain value; like State it
// neither waits nor reads a clock. Its instants are of the hub's clock.
type Peer struct {
	// Applied is the furthest position that the replica has acknowledged in its newest session.
	Applied storage.Position
	// Limit is how long it answers from the moment of a question whose answer proved it to be up to date;
	// zero is without limit.
	Limit time.Duration
	// Asked is when its newest question had come: it asked no later. Told is where the hub was then, so the
	// answer is of that position or a later one. A hub that has just started doesn't know, and takes its
	// start and the zero position.
	Asked Instant
	Told  storage.Position
	// Leased says that it has asked, or may have, and so may hold a lease.
	Leased bool
}

// Hello notes how a session begins: how long the replica's leases run, where it is, and how the hub goes on. leased
// says that it holds a lease, by a question that was asked no later than asked: it may be another hub's, and counts
// here until it is over. One that says that it holds none changes nothing of what is known.
func (p *Peer) Hello(limit time.Duration, at storage.Position, course Course, asked Instant, leased bool) {
	p.Limit, p.Applied = limit, storage.Position{}
	if course == Entries {
		p.Applied = at
	}
	if leased && (!p.Leased || asked > p.Asked) {
		p.Leased, p.Asked, p.Told = true, asked, storage.Position{}
	}
}

// Question notes a question that came at a moment, when the hub was at a position. It is noted when it comes, and the
// position read in the same act: were it noted when it is answered, the hub could say in between that the replica's
// lease is over, and then give it one with an answer of before a write.
func (p *Peer) Question(came Instant, at storage.Position) {
	p.Leased, p.Asked, p.Told = true, came, at
}

// Has reports whether the replica has acknowledged a position, or a later one.
func (p *Peer) Has(at storage.Position) bool { return !p.Applied.Before(at) }

// drift is by how much a replica's clock may run slower than the hub's: a lease is counted longer by this part.
const drift = 1000

// End returns until when the replica may answer without knowing a write that was acknowledged at a moment or
// before, by the hub's clock. An answer that tells of the write proves the replica only once it has applied
// it, and the questions before had come before the write was there.
func (p *Peer) End(at storage.Position, written Instant) (end Instant, never bool) {
	switch {
	case !p.Leased:
		return 0, false
	case p.Limit == 0:
		return 0, true
	}
	from := p.Asked
	if !p.Told.Before(at) {
		from = min(from, written)
	}
	return from + p.Limit + p.Limit/drift, false
}

// Lease returns until when the replica may answer at all.
func (p *Peer) Lease() (end Instant, never bool) {
	return p.End(storage.Position{Epoch: ^uint64(0)}, 0)
}

// Standing is how one replica stands to a write.
type Standing uint8

// The standings.
const (
	Gone    Standing = iota // its lease is over: it doesn't answer
	Missing                 // it may answer without knowing the write
	Applied                 // it knows it for good
)

// Standing returns how the replica stands to a write that was acknowledged at a moment or before, now. Where it
// isn't Missing the replica never again answers without knowing the write, even if Standing says Missing for a while
// because a new session or question leaves the hub to know less.
func (p *Peer) Standing(at storage.Position, written, now Instant) Standing {
	end, never := p.End(at, written)
	lease, unlimited := p.Lease()
	switch {
	case p.Has(at) && (unlimited || now < lease):
		return Applied
	case p.Has(at):
		return Gone
	case never || now <= end:
		return Missing
	}
	return Gone
}
