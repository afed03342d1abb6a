package replica

import (
	"fmt"
	"slices"
	"time"

	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage"
)

// seenWrite is a position that the store had come to at a moment, or before.
type seenWrite struct {
	at   storage.Position
	when Instant
}

// maxWrites is how many of them are kept.
const maxWrites = 4096

// saw notes where the store is. The mutex must be held.
func (h *Hub) saw(at storage.Position) {
	if n := len(h.writes); n > 0 && !h.writes[n-1].at.Before(at) {
		return
	}
	if len(h.writes) == maxWrites {
		h.writes = append(h.writes[:0], h.writes[maxWrites/2:]...)
	}
	h.writes = append(h.writes, seenWrite{at, h.now()})
}

// written returns a moment at which a write was there, as early as is known. The mutex must be held.
func (h *Hub) written(at storage.Position) Instant {
	i, _ := slices.BinarySearchFunc(h.writes, at, func(w seenWrite, at storage.Position) int {
		if w.at.Before(at) {
			return -1
		}
		return 1
	})
	if i < len(h.writes) {
		return h.writes[i].when
	}
	return h.now()
}

// memberKey names a replica: nobody speaks for one under another identity.
type memberKey struct{ identity, id string }

// member is a replica that may hold a lease. Guarded by Hub.mu.
type member struct {
	memberKey
	Peer
	name, version string
	seen          time.Time     // by the wall clock
	proven        Instant       // when it asked the newest question of which the answer proves it, as far as is known; 0: never
	session       *subscription // nil while it isn't connected
	trouble       string        // why it doesn't go on
	written       bool          // whether the roster on the disk has it, and no other limit of it is on its way there
	limit         time.Duration // that the roster on the disk has
	reporting     bool          // a report of its usage is being taken
}

// isWritten reports whether the roster on the disk has the replica as it is.
func (m *member) isWritten() bool { return m.written && m.limit == m.Limit }

// tidy forgets replicas whose lease has ended long ago.
func (h *Hub) tidy() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, m := range h.members {
		if end, never := m.Lease(); m.session == nil && !never && h.now() > end+goneFor {
			delete(h.members, key)
		}
	}
}

// beginning is what a Hello comes to.
type beginning struct {
	limit  time.Duration    // of the replica's leases
	at     storage.Position // where it is
	course Course
	leased bool          // it holds a lease
	age    time.Duration // of the question of that lease
}

// join makes a session that of its replica, in place of an older one, and sees that the roster has the replica
// before any lease is given out.
func (h *Hub) join(s *subscription, hello *replicav1.Hello, begin beginning) error {
	key := memberKey{s.identity, hello.GetId()}
	h.mu.Lock()
	m := h.members[key]
	if m == nil {
		if len(h.members) >= maxMembers {
			h.mu.Unlock()
			return errFull
		}
		m = &member{memberKey: key}
		h.members[key] = m
	}
	if m.session != nil {
		_ = m.session.end(errReplaced)
	}
	trouble := ""
	switch begin.course {
	case Behind:
		trouble = fmt.Sprintf("it is ahead of this hub, at %s", begin.at)
	case Other:
		trouble = fmt.Sprintf("it is of this hub's epoch and of another history, at %s", begin.at)
	}
	if trouble != "" && trouble != m.trouble {
		h.log.Error("a replica is ahead of this hub, or of another history: the hub has lost what it had acknowledged, or two run on copies of one store: restore the newest backup here (latchkey db restore), which begins a new epoch",
			"replica", hello.GetName(), "identity", s.identity, "trouble", trouble, "hub", h.db.Position().String())
	}
	m.session, m.name, m.version, m.trouble, m.seen = s, hello.GetName(), hello.GetVersion(), trouble, time.Now()
	m.Hello(begin.limit, begin.at, begin.course, h.now()-begin.age, begin.leased)
	s.member, s.name = m, hello.GetName()
	written := m.isWritten()
	h.mu.Unlock()
	h.signal()
	if written {
		return nil
	}
	if err := h.saver.save(); err != nil {
		return fmt.Errorf("writing the roster of replicas: %w", err)
	}
	return nil
}

// leave notes that a session is over, whether it came to be that of a replica or not.
func (h *Hub) leave(s *subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m := s.member; m != nil && m.session == s {
		m.session, m.seen = nil, time.Now()
	}
}
