package replica

import "github.com/latchkey/latchkey/storage"

// message is what travels between a hub and a replica.
type message struct {
	kind     messageKind
	at       storage.Position
	course   Course
	number   uint64
	whole    bool
	limit    Instant
	age      Instant // of the lease
	leased   bool
	versions []version
}

type messageKind uint8

const (
	hello messageKind = iota
	applied
	ask
	welcome
	entries
	snapshotBegin
	snapshotEnd
	current
)

// link is a session between a replica and a hub, with what is on its way.
type link struct {
	open     bool
	hub      *hub
	up, down []message

	// The hub's side.
	greeted bool
	sent    storage.Position
	asked   uint64 // number of a question that waits; 0: none
	came    Instant
	due     storage.Position // where the hub was then
	ended   bool             // by the hub
}

// disturb does to what is on its way what no stream does: it comes twice, in another order, or not at all.
func (s *sim) disturb(l *link) {
	q := &l.down
	if s.IntN(2) == 0 {
		q = &l.up
	}
	if len(*q) == 0 {
		return
	}
	switch i, j := s.IntN(len(*q)), s.IntN(len(*q)); s.IntN(3) {
	case 0:
		*q = append(*q, (*q)[i])
	case 1:
		(*q)[i], (*q)[j] = (*q)[j], (*q)[i]
	case 2:
		*q = append((*q)[:i:i], (*q)[i+1:]...)
	}
}

func (s *sim) connect(i int) {
	l, n := &s.links[i], s.nodes[i]
	if l.open || s.cut[i] {
		return
	}
	*l = link{open: true, hub: s.hubs[s.IntN(len(s.hubs))]}
	n.state.Begin(n.limit)
	age, leased := n.state.Lease.Age(s.clock(i))
	at, whole := n.state.Hello()
	l.up = append(l.up, message{kind: hello, at: at, whole: whole, limit: n.limit, age: age, leased: leased})
}

func (s *sim) question(i int) {
	l, n := &s.links[i], s.nodes[i]
	if !l.open {
		return
	}
	if n.state.Silent(s.clock(i), simPatience) != nil {
		s.leave(i)
		return
	}
	if number, ok := n.state.Ask(s.clock(i)); ok {
		l.up = append(l.up, message{kind: ask, number: number})
	}
}

func (s *sim) leave(i int) {
	s.links[i] = link{}
	s.nodes[i].state.End()
}

// deliver brings the next message to one of both sides.
func (s *sim) deliver(i int) {
	l := &s.links[i]
	if len(l.up) > 0 && s.IntN(2) == 0 {
		m := l.up[0]
		l.up = l.up[1:]
		s.toHub(i, m)
	} else if len(l.down) > 0 && s.now >= s.busy[i] {
		m := l.down[0]
		l.down = l.down[1:]
		if err := s.toReplica(i, m); err != nil {
			s.tell("replica %d ends its session: %v", i, err)
			s.refusals++
			s.leave(i)
		}
	}
}

// toHub is what Hub does with what a replica says.
func (s *sim) toHub(i int, m message) {
	l := &s.links[i]
	h := l.hub
	p := &h.peers[i]
	switch m.kind {
	case hello:
		if l.greeted {
			s.leave(i)
			return
		}
		_, why := h.since(m.at)
		if m.at == (storage.Position{}) {
			why = storage.ErrTrimmed
		}
		course := CourseFor(h.now().at, m.at, m.whole, why)
		l.greeted = true
		s.hello(i, p, m, course)
		l.down = append(l.down, message{kind: welcome, at: h.now().at, course: course})
		switch course {
		case Entries:
			l.sent = m.at
		case Snapshot:
			s.snapshot(l)
		default:
			l.ended = true
		}
	case applied:
		if l.greeted && !l.sent.Before(m.at) && !m.at.Before(p.Applied) {
			p.Applied = m.at
			return
		}
		s.leave(i)
	case ask:
		if l.greeted {
			l.asked, l.came, l.due = m.number, s.now, h.now().at
			if !s.noQuestion {
				p.Question(l.came, l.due)
			}
		}
	}
}

// hello notes the replica on the hub's roster, durably.
func (s *sim) hello(i int, p *Peer, m message, course Course) {
	h := s.links[i].hub
	h.known[i] = true
	s.nodes[i].words.of(h.epoch).unsaid = false
	if !s.noHello {
		p.Hello(m.limit, m.at, course, s.now-m.age, m.leased)
		return
	}
	p.Limit, p.Applied = m.limit, storage.Position{}
	if course == Entries {
		p.Applied = m.at
	}
}

func (s *sim) snapshot(l *link) {
	v := l.hub.now()
	l.down = append(l.down, message{kind: snapshotBegin, at: v.at}, message{kind: snapshotEnd, at: v.at, versions: []version{v}})
	l.sent = v.at
	s.snapshots++
}

// serve is what Hub does when it looks after a replica.
func (s *sim) serve(i int) {
	l := &s.links[i]
	h := l.hub
	if !l.greeted || l.ended {
		return
	}
	if l.asked > 0 && !l.sent.Before(l.due) {
		if s.noQuestion {
			h.peers[i].Question(l.came, l.sent)
		}
		s.nodes[i].words.answeredBy(h.epoch, s.epoch)
		l.down = append(l.down, message{kind: current, at: l.sent, number: l.asked})
		l.asked = 0
	}
	if l.sent != h.now().at {
		next, err := h.since(l.sent)
		if err != nil {
			s.snapshot(l)
			s.overtaken++
			return
		}
		if len(next) > 0 {
			next = next[:1+s.IntN(len(next))]
			l.sent = next[len(next)-1].at
			l.down = append(l.down, message{kind: entries, at: l.sent, versions: next})
		}
	}
}

// toReplica is what Follower does with what a hub says.
func (s *sim) toReplica(i int, m message) error {
	n, l := s.nodes[i], &s.links[i]
	switch m.kind {
	case welcome:
		return n.state.Welcomed(m.at, m.course)
	case entries:
		if err := n.state.Came(m.versions[0].at.Revision, m.at); err != nil {
			return err
		}
		s.stored(i, m.versions[len(m.versions)-1])
		l.up = append(l.up, message{kind: applied, at: n.state.At})
	case snapshotBegin:
		return n.state.SnapshotBegan(m.at)
	case snapshotEnd:
		if n.state.session.phase != fetching || n.state.session.target != m.at {
			return ErrOrder // its parts don't fit together
		}
		s.stored(i, m.versions[0])
		l.up = append(l.up, message{kind: applied, at: n.state.At})
	case current:
		if err := n.state.Answered(m.at, m.number); err != nil {
			return err
		}
		if s.IntN(3) > 0 {
			n.remember()
		}
	}
	return nil
}

func (s *sim) stored(i int, v version) {
	n := s.nodes[i]
	older := n.state.AcceptOlder
	n.stored(v)
	if older && !n.state.AcceptOlder {
		s.older++
		n.words.void(s.epoch)
		n.words.of(s.links[i].hub.epoch).unsaid = false // which is the one it speaks to
	}
	n.words.stored(v.what.epoch())
}
