package replica

import "github.com/latchkey/latchkey/storage"

// What a hub and a replica do with each other in the exploration, by the product's own State and Peer.

// sync begins a session where there is none, and brings the replica to where the hub is.
func (u *universe) sync(g *globe, c *cell) {
	if c.flight != 0 {
		u.hear(c) // a stream keeps its order
	}
	s := u.state(c)
	now := u.positions[g.now()]
	if c.flags&open == 0 && !u.greet(g, c, &s) {
		s.End()
		c.keep(&s)
		return
	}
	if s.At == now && s.session.phase == following {
		c.keep(&s)
		return
	}
	if u.since(g, s.At) == nil && s.At.Epoch > 0 {
		if s.Came(s.At.Revision+1, now) != nil {
			s.End()
			c.keep(&s)
			return
		}
	} else if s.SnapshotBegan(now) != nil {
		s.End()
		c.keep(&s)
		return
	}
	s.Stored(now)
	c.at, c.acking = g.now(), g.now()
	c.keep(&s)
}

// greet is how a session begins. What an older one had on its way to the hub is dropped.
func (u *universe) greet(g *globe, c *cell, s *State) bool {
	now := u.positions[g.now()]
	s.Begin(exploreLimit)
	why := u.since(g, s.At)
	if s.At == (storage.Position{}) {
		why = storage.ErrTrimmed
	}
	course := CourseFor(now, s.At, s.Whole, why)
	p := u.peer(c)
	age, leased := s.Lease.Age(exploreNow)
	p.Hello(exploreLimit, s.At, course, exploreNow-age, leased)
	c.note(&p)
	c.acking = 0
	if s.Welcomed(now, course) != nil {
		return false
	}
	if course == Snapshot {
		if s.SnapshotBegan(now) != nil {
			return false
		}
		s.Stored(now)
		c.at, c.acking = g.now(), g.now()
	}
	return true
}

// ack is what the hub does with an acknowledgement.
func (u *universe) ack(g *globe, c *cell) {
	if at := u.positions[c.acking]; c.acking != 0 && !u.positions[g.now()].Before(at) {
		p := u.peer(c)
		p.Applied = at
		c.note(&p)
	}
	c.acking = 0
}

// ask brings a question to the hub.
func (u *universe) ask(g *globe, c *cell) bool {
	s := u.state(c)
	if _, ok := s.Ask(exploreNow); !ok {
		return false
	}
	c.keep(&s)
	p := u.peer(c)
	p.Question(exploreNow, u.positions[g.now()])
	c.note(&p)
	c.flags.set(pending, true)
	return true
}

// answer is what the hub does with a question, once it has sent all.
func (g *globe) answer(c *cell) bool {
	if c.flags&pending == 0 {
		return false
	}
	c.flags.set(pending, false)
	c.flight = g.now()
	return true
}

// hear brings the answer to the replica, and before it what the hub had sent.
func (u *universe) hear(c *cell) bool {
	if c.flight == 0 {
		return false
	}
	s, at := u.state(c), u.positions[c.flight]
	err := error(nil)
	if s.At != at {
		if err = s.Came(s.At.Revision+1, at); err == nil {
			s.Stored(at)
			c.at, c.acking = c.flight, c.flight
		}
	}
	if err == nil {
		err = s.Answered(at, s.session.number)
	}
	if err != nil {
		s.End()
	}
	c.flight = 0
	c.keep(&s)
	return true
}
