package replica

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/latchkey/latchkey/storage"
)

// Returned by Hub.Forget:
var (
	ErrNoReplica = errors.New("there is no replica of this id")
	ErrIdentity  = errors.New("replicas of several identities have this id")
	ErrConnected = errors.New("the replica is connected")
	ErrLease     = errors.New("the replica's lease ends by itself")
)

// Receipt says who knows a write.
type Receipt struct {
	Position storage.Position // of the write
	Applied  int              // replicas that hold a lease and have applied it, durably
	Replicas int              // replicas that hold a lease
	Missing  []Replica        // those that may answer without knowing the write, by when their leases end
	// Ends is when the last of their leases ends: from then on none of them answers without knowing the write.
	// It is the time of the receipt where none is missing.
	Ends time.Time
	// Never is whether one of them has a lease without limit.
	Never bool
	// Forgot is whether there may be replicas that this hub doesn't know of: its roster was damaged.
	Forgot bool
}

// Complete reports whether it is known that no replica may answer without knowing the write.
func (r *Receipt) Complete() bool { return len(r.Missing) == 0 && !r.Forgot }

// Replica is what a hub knows of a replica, for people.
type Replica struct {
	ID, Identity, Name, Version string
	Position                    storage.Position // that it has applied
	Connected                   bool
	Limit                       time.Duration // of its leases; 0 for none
	// Proven is when it asked the newest question that was answered; zero for never, and where only a
	// hub of before the start could tell.
	Proven time.Time
	// Ends is when its lease ends; zero for never, and for a replica without.
	Ends time.Time
	// Holds is whether it holds a lease.
	Holds   bool
	Seen    time.Time // when it was last heard of
	Trouble string    // why it doesn't go on
}

// Receipt says who knows a write that was acknowledged before the call.
func (h *Hub) Receipt(at storage.Position) Receipt {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.receipt(at, h.written(at))
}

func (h *Hub) receipt(at storage.Position, written Instant) Receipt {
	now := h.now()
	r := Receipt{Position: at, Ends: h.wall(now), Forgot: h.forgot != nil}
	last := now
	for _, m := range h.members {
		switch m.Standing(at, written, now) {
		case Applied:
			r.Applied++
			r.Replicas++
		case Missing:
			r.Replicas++
			one := h.replica(m)
			end, never := m.End(at, written)
			one.Ends = time.Time{}
			if !never {
				one.Ends = h.wall(end)
				last = max(last, end)
			}
			r.Never = r.Never || never
			r.Missing = append(r.Missing, one)
		}
	}
	r.Ends = h.wall(last)
	slices.SortFunc(r.Missing, byEnd)
	return r
}

// byEnd sorts by when leases end, those without limit last.
func byEnd(a, b Replica) int {
	if a.Ends.IsZero() != b.Ends.IsZero() {
		return b.Ends.Compare(a.Ends)
	}
	return cmp.Or(a.Ends.Compare(b.Ends), byName(a, b))
}

func byName(a, b Replica) int {
	return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Identity, b.Identity), strings.Compare(a.ID, b.ID))
}

// replica returns what is known of a replica. The mutex must be held.
func (h *Hub) replica(m *member) Replica {
	one := Replica{
		ID: m.id, Identity: m.identity, Name: m.name, Version: m.version,
		Position: m.Applied, Connected: m.session != nil, Limit: m.Limit, Seen: m.seen, Trouble: m.trouble,
	}
	if m.proven > 0 {
		one.Proven = h.wall(m.proven)
	}
	end, never := m.Lease()
	one.Holds = m.Leased && (never || h.now() <= end)
	if m.Leased && !never {
		one.Ends = h.wall(end)
	}
	return one
}

// Replicas returns all replicas that hold a lease or did so within the hour, by name.
func (h *Hub) Replicas() []Replica {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]Replica, 0, len(h.members))
	for _, m := range h.members {
		all = append(all, h.replica(m))
	}
	slices.SortFunc(all, byName)
	return all
}

// awaitPause is how long acknowledgements are gathered before the next look at a receipt.
const awaitPause = time.Millisecond

// Await waits until no replica of those it knows may answer without knowing a write that was acknowledged before the
// call, or until the context ends, and returns the receipt of that moment.
func (h *Hub) Await(ctx context.Context, at storage.Position) Receipt {
	wake := make(chan struct{}, 1)
	h.mu.Lock()
	written := h.written(at)
	h.waiters[wake] = struct{}{}
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.waiters, wake)
	}()
	for ctx.Err() == nil {
		missing, first := h.missing(at, written)
		if missing == 0 {
			break
		}
		// The next lease may end before anybody says a word.
		next, cancel := ctx, context.CancelFunc(func() {})
		if first > 0 {
			next, cancel = context.WithTimeout(ctx, max(first-h.now(), 0)+awaitPause)
		}
		select {
		case <-next.Done():
		case <-wake:
			pause(ctx, awaitPause)
		}
		cancel()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.receipt(at, written)
}

// missing counts the replicas that may answer without knowing a write, and returns when the first of their leases
// ends; 0 where none does.
func (h *Hub) missing(at storage.Position, written Instant) (n int, first Instant) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	for _, m := range h.members {
		if m.Standing(at, written, now) != Missing {
			continue
		}
		n++
		if end, never := m.End(at, written); !never && (first == 0 || end < first) {
			first = end
		}
	}
	return n, first
}

// pause waits for a while, or until the context ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// signal wakes those who await a position.
func (h *Hub) signal() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.signalLocked()
}

func (h *Hub) signalLocked() {
	for wake := range h.waiters {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}

// Forget takes a replica that is gone for good out of the roster, by its id, and by its identity too where that isn't
// empty, and returns what it was. It returns ErrNoReplica for none of that name, ErrIdentity where several have the id,
// ErrConnected for one that is there, and ErrLease for one whose lease ends by itself, unless gone says that it is known
// to be gone.
func (h *Hub) Forget(id, identity string, gone bool) (Replica, error) {
	forgotten, err := h.forget(id, identity, gone)
	if err != nil {
		return Replica{}, err
	}
	return forgotten, h.saver.save()
}

// MayForget returns the replica that Forget would forget, or its error, and forgets none.
func (h *Hub) MayForget(id, identity string, gone bool) (Replica, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m, err := h.forgettable(id, identity, gone)
	if err != nil {
		return Replica{}, err
	}
	return h.replica(m), nil
}

func (h *Hub) forget(id, identity string, gone bool) (Replica, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m, err := h.forgettable(id, identity, gone)
	if err != nil {
		return Replica{}, err
	}
	forgotten := h.replica(m)
	delete(h.members, m.memberKey)
	h.signalLocked()
	return forgotten, nil
}

// forgettable returns the replica that may be forgotten, or why none may be. mu must be held.
func (h *Hub) forgettable(id, identity string, gone bool) (*member, error) {
	var found *member
	var identities []string
	for _, m := range h.members {
		if m.id == id && (identity == "" || m.identity == identity) {
			found = m
			identities = append(identities, m.identity)
		}
	}
	switch {
	case found == nil:
		return nil, fmt.Errorf("%w: see `latchkey replicas list`", ErrNoReplica)
	case len(identities) > 1:
		slices.Sort(identities)
		return nil, fmt.Errorf("%w: say which with --identity: %s", ErrIdentity, strings.Join(identities, ", "))
	case found.session != nil:
		return nil, fmt.Errorf("%w: stop it first", ErrConnected)
	}
	if end, never := found.Lease(); found.Leased && !never && !gone && h.now() <= end {
		return nil, fmt.Errorf("%w, at %s: wait for that, or say --gone if it is known to be gone for good", ErrLease, h.wall(end).UTC().Format(time.RFC3339))
	}
	return found, nil
}
