package replica

import (
	"errors"
	"fmt"
	"time"

	"github.com/latchkey/latchkey/storage"
)

// Why a session ends. They are wrapped with both positions; test them with errors.Is.
var (
	// ErrOlder is returned for a hub whose world is older than the replica's: of a lower epoch, or of the
	// same one and fewer revisions. The replica keeps what it has.
	ErrOlder = errors.New("the hub's world is older than this replica's")
	// ErrOther is returned for a hub of the replica's epoch and of another history: two processes write to
	// copies of one store.
	ErrOther = errors.New("the hub is of this replica's epoch, and of another history")
	// ErrForeign is returned for a hub whose store has another origin than the replica's.
	ErrForeign = errors.New("the hub's store has nothing to do with this replica's")
	// ErrRevives is returned for a world in which a key is live that the replica knows to be revoked.
	ErrRevives = errors.New("the hub's world brings revoked keys back to life")
	// ErrGap is returned for entries that don't follow the replica's position, and for a hub that says that
	// it sent more than came. The next session begins with a snapshot.
	ErrGap = errors.New("what the hub sent doesn't follow this replica's position")
	// ErrOrder is returned for a message that has no place where it came.
	ErrOrder = errors.New("the hub sent a message out of turn")
	// ErrSilent is returned for a hub that doesn't answer.
	ErrSilent = errors.New("the hub doesn't answer")
)

// Instant is a moment of a clock that never goes back and has a start of its own.
type Instant = time.Duration

// State is a replica's side of the protocol: what it may believe, and whether it may answer. It is a plain
// value; its methods are the protocol's core, and neither wait, read a clock nor touch a disk. Positions are
// compared as a whole (epoch, revision and digest), never by revision alone.
type State struct {
	// At is where the store is: applied and durable.
	At storage.Position
	// Floor is the furthest position that the store is known to have been at. Before it, the replica must
	// not answer: it has lost what it acknowledged.
	Floor storage.Position
	// Lease is how long the replica may answer.
	Lease Lease
	// Whole asks for a snapshot, whatever At is.
	Whole bool
	// AcceptOlder lets one older world in, by the operator's word.
	AcceptOlder bool

	session session
}

// Lease is the right to answer from the store. A replica that was never proven to be up to date has none.
type Lease struct {
	// Proven says that an answer of a hub proved the replica to be up to date, and Asked when it had asked the
	// question: the lease runs from there, since the answer may have taken its time.
	Proven bool
	Asked  Instant
	// Limit is how long the lease runs, as the hub was told before it answered; zero is without limit. A
	// replica that is given another limit tells the hub first: until the next answer the shorter one counts.
	Limit time.Duration
}

// Holds reports whether the lease allows to answer at a moment.
func (l *Lease) Holds(now Instant) bool {
	return l.Proven && (l.Limit == 0 || now-l.Asked <= l.Limit)
}

// Age returns how long ago the question of the lease was asked, and whether the lease allows to answer at a moment.
func (l *Lease) Age(now Instant) (age time.Duration, ok bool) { return now - l.Asked, l.Holds(now) }

// Shorten bounds the lease by another limit; zero is none.
func (l *Lease) Shorten(limit time.Duration) {
	if limit > 0 && (l.Limit == 0 || limit < l.Limit) {
		l.Limit = limit
	}
}

// session is one connection to a hub.
type session struct {
	phase   phase
	limit   time.Duration    // that the hub was told
	target  storage.Position // of the snapshot that is coming
	number  uint64           // of the newest question
	waiting bool             // for its answer
	asked   Instant          // when it was asked
}

type phase uint8

const (
	closed    phase = iota
	greeted         // the Hello was sent
	following       // the Welcome came
	fetching        // a snapshot is coming
)

// Fresh reports whether the store may be answered from at a moment.
func (s *State) Fresh(now Instant) bool {
	return s.At.Revision > 0 && !s.At.Before(s.Floor) && s.Lease.Holds(now)
}

// Begin begins a session, in place of any other, in which the hub is told how long leases run.
func (s *State) Begin(limit time.Duration) {
	s.session = session{phase: greeted, number: s.session.number, limit: limit}
}

// Hello returns where the hub is told that the replica is, and whether it wants a snapshot. To be given an older
// world it has to look like one that has nothing.
func (s *State) Hello() (at storage.Position, whole bool) {
	if s.AcceptOlder {
		return storage.Position{}, true
	}
	return s.At, s.Whole
}

// End ends the session.
func (s *State) End() { s.session = session{number: s.session.number} }

// Follows reports whether the hub has welcomed the replica.
func (s *State) Follows() bool { return s.session.phase >= following }

// Welcomed takes the hub's position and how it goes on.
func (s *State) Welcomed(hub storage.Position, course Course) error {
	if s.session.phase != greeted {
		return ErrOrder
	}
	if err := s.acceptable(hub); err != nil {
		return err
	}
	switch course {
	case Entries, Snapshot:
	case Behind:
		return s.differs(ErrOlder, hub)
	case Other:
		return s.differs(ErrOther, hub)
	default:
		return ErrOrder
	}
	s.session.phase = following
	return nil
}

// acceptable returns why a position of a hub can't be that of a world that the replica may go over to.
func (s *State) acceptable(hub storage.Position) error {
	switch {
	case s.AcceptOlder:
	case hub.Before(s.Floor):
		return s.differs(ErrOlder, hub)
	case !s.Floor.Before(hub) && hub != s.Floor:
		return s.differs(ErrOther, hub)
	}
	return nil
}

func (s *State) differs(err error, hub storage.Position) error {
	return fmt.Errorf("%w: the hub is at %s, and this replica was at %s", err, hub, s.Floor)
}

// Came takes entries from a first revision to a position, before they are applied.
func (s *State) Came(first uint64, to storage.Position) error {
	switch {
	case s.session.phase != following:
		return ErrOrder
	case s.At.Epoch == 0, first != s.At.Revision+1, to.Revision < first, to.Epoch < s.At.Epoch:
		s.Whole = true
		return fmt.Errorf("%w: entries from revision %d to %s, at %s", ErrGap, first, to, s.At)
	}
	return nil
}

// Stored notes that the store is at a position, durably.
func (s *State) Stored(at storage.Position) {
	s.At = at
	if s.Floor.Before(at) || s.AcceptOlder && s.session.target == at {
		s.Floor = at
	}
	if s.session.phase == fetching && s.session.target == at {
		s.session.phase, s.session.target = following, storage.Position{}
		s.Whole, s.AcceptOlder = false, false
	}
}

// Refused notes that the store doesn't take what came: only a snapshot helps.
func (s *State) Refused() { s.Whole = true }

// SnapshotBegan takes the position of a snapshot that is coming.
func (s *State) SnapshotBegan(at storage.Position) error {
	if s.session.phase != following {
		return ErrOrder
	}
	if err := s.acceptable(at); err != nil {
		return err
	}
	s.session.phase, s.session.target = fetching, at
	return nil
}

// Ask asks whether the replica is up to date, and returns the question's number. It asks nothing while it
// waits for an answer or a snapshot.
func (s *State) Ask(now Instant) (number uint64, ok bool) {
	if s.session.phase != following || s.session.waiting {
		return 0, false
	}
	s.session.number++
	s.session.waiting, s.session.asked = true, now
	return s.session.number, true
}

// Answered takes the hub's position when it answered a question. Of old questions, answers mean nothing.
func (s *State) Answered(hub storage.Position, number uint64) error {
	if s.session.phase < following || number > s.session.number {
		return ErrOrder
	}
	if !s.session.waiting || number != s.session.number {
		return nil
	}
	if err := s.acceptable(hub); err != nil {
		return err
	}
	if hub != s.At {
		s.Whole = true
		return fmt.Errorf("%w: it is at %s, and sent nothing after %s", ErrGap, hub, s.At)
	}
	s.session.waiting = false
	s.Lease = Lease{Proven: true, Asked: s.session.asked, Limit: s.session.limit}
	return nil
}

// Silent returns ErrSilent for a question that has waited for longer than is bearable.
func (s *State) Silent(now Instant, patience time.Duration) error {
	if s.session.waiting && s.session.phase == following && now-s.session.asked > patience {
		return fmt.Errorf("%w: for %v", ErrSilent, (now - s.session.asked).Round(time.Millisecond))
	}
	return nil
}
