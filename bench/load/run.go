package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// patience is how long answers are waited for once a run is over.
const patience = 5 * time.Second

// look is how often a run looks whether it shall end, with nothing else to do.
const look = 50 * time.Millisecond

// phase is where a run is.
type phase int

const (
	warming phase = iota
	measuring
	draining
)

// run is a plan under way. Times are nanoseconds since it began.
type run struct {
	plan  Plan
	base  time.Time
	poll  *poller
	conns []*conn

	phase      phase
	begun      int64 // of the measured part
	ended      int64
	next       int // request
	turn       int // connection of the next request in an open loop
	sent       int // requests of an open loop
	inFlight   int
	answers    int
	all        int
	latency    *hdrhistogram.Histogram
	unanswered int
	arrived    int64 // when what is being taken apart was read
	err        error // of an answer
}

// Run carries out a plan. It fails where a connection does, and where an answer
// isn't the expected one.
func Run(ctx context.Context, p Plan) (_ *Result, err error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	r := &run{plan: p, base: time.Now(), next: p.First % len(p.Requests), latency: hdrhistogram.New(shortest, longest, digits)}
	if r.poll, err = newPoller(); err != nil {
		return nil, err
	}
	defer func() {
		for _, c := range r.conns {
			err = errors.Join(err, c.close())
		}
		err = errors.Join(err, r.poll.close())
	}()
	for i := range p.Connections {
		c, err := r.connect(i)
		if err != nil {
			return nil, fmt.Errorf("load: connecting to %s: %w", p.Address, err)
		}
		r.conns = append(r.conns, c)
	}
	r.base = time.Now()
	for r.phase != draining || r.inFlight > 0 || r.owes() {
		if err := r.step(ctx); err != nil {
			return nil, fmt.Errorf("load: %s: %w", p.Address, err)
		}
		if r.phase == draining && r.now() > r.ended+int64(patience) {
			break
		}
	}
	if err := r.giveUp(); err != nil {
		return nil, err
	}
	return &Result{Answers: r.answers, All: r.all, Elapsed: time.Duration(r.ended - r.begun), Latency: r.latency, Unanswered: r.unanswered}, nil
}

func (r *run) now() int64 { return int64(time.Since(r.base)) }

// step sends what may go, waits for what is next, and takes what has come.
func (r *run) step(ctx context.Context) error {
	r.issue()
	for i, c := range r.conns {
		if err := c.flush(r.poll, i); err != nil {
			return err
		}
	}
	ready, err := r.poll.wait(r.pause())
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, event := range ready {
		c := r.conns[event.index]
		if event.readable {
			if err := c.receive(r); err != nil {
				return err
			}
		}
		c.blocked = c.blocked && !event.writable
	}
	if r.err != nil {
		return r.err
	}
	return r.advance()
}

// pause is how long to wait for an event at most.
func (r *run) pause() time.Duration {
	pause := look
	if r.phase != draining && !r.cold() {
		pause = min(pause, time.Duration(r.phaseEnd()-r.now()))
	}
	if r.plan.Rate > 0 && r.phase != draining && slices.ContainsFunc(r.conns, func(c *conn) bool { return c.wire.room() }) {
		pause = min(pause, time.Duration(r.due()-r.now()))
	}
	return max(pause, 0)
}

// cold reports whether the server has yet to answer for the first time: until then it
// isn't warm, unless it never does.
func (r *run) cold() bool {
	return r.phase == warming && r.plan.Warmup > 0 && r.all == 0 && r.now() < int64(patience)
}

func (r *run) phaseEnd() int64 {
	if r.phase == warming {
		return int64(r.plan.Warmup)
	}
	return r.begun + int64(r.plan.Duration)
}

// advance goes on to the next phase when it is time.
func (r *run) advance() error {
	now := r.now()
	if r.phase == draining || now < r.phaseEnd() || r.cold() {
		return nil
	}
	mark := r.plan.Begin
	if r.phase == measuring {
		mark = r.plan.End
		r.ended = now
	}
	r.phase++
	if mark != nil {
		if err := mark(); err != nil {
			return err
		}
	}
	if r.phase == measuring {
		r.begun = r.now()
	}
	return nil
}

// issue begins the requests that may go now. An open loop goes on with what was
// due before the end.
func (r *run) issue() {
	switch {
	case r.plan.Rate > 0:
		until := r.now()
		if r.phase == draining {
			until = r.ended - 1
		}
		for due := r.due(); due <= until; due = r.due() {
			c := r.free()
			if c == nil {
				return
			}
			r.sent++
			r.begin(c, due)
		}
	case r.phase != draining:
		for _, c := range r.conns {
			for ; c.wanted > 0 && c.wire.room(); c.wanted-- {
				r.begin(c, r.now())
			}
		}
	}
}

// owes reports whether an open loop has requests to send that were due before the end.
func (r *run) owes() bool { return r.plan.Rate > 0 && r.due() < r.ended }

// due is when the next request of an open loop is to go.
func (r *run) due() int64 { return int64(r.sent) * int64(time.Second) / int64(r.plan.Rate) }

// free returns the next connection in turn that has room for a request, or nil.
func (r *run) free() *conn {
	for range r.conns {
		c := r.conns[r.turn]
		r.turn = (r.turn + 1) % len(r.conns)
		if c.wire.room() {
			return c
		}
	}
	return nil
}

func (r *run) begin(c *conn, at int64) {
	c.out = c.wire.begin(c.out, call{r.next, at})
	r.inFlight++
	if r.next++; r.next == len(r.plan.Requests) {
		r.next = 0
	}
}

// done is told of each answer.
func (r *run) done(c *conn, of call, status int) {
	r.inFlight--
	r.all++
	c.wanted++
	if want := r.plan.Want[of.request]; status != want && r.err == nil {
		r.err = &AnswerError{of.request, status, want}
	}
	if r.phase == measuring {
		r.answers++
	}
	if r.counts(of) {
		r.record(r.arrived - of.at)
	}
}

// counts reports whether the time of a call is part of the measurement: of an
// open loop what was due in it, whenever it was answered.
func (r *run) counts(of call) bool {
	if r.plan.Rate > 0 {
		return r.phase != warming && of.at >= r.begun && (r.phase == measuring || of.at < r.ended)
	}
	return r.phase == measuring
}

func (r *run) record(nanoseconds int64) {
	_ = r.latency.RecordValue(min(max(nanoseconds, shortest), longest)) // fails beyond the bounds alone
}

// giveUp counts what an open loop could not get answered, also what it could
// not even send. A closed loop has no excuse.
func (r *run) giveUp() error {
	if r.plan.Rate == 0 {
		if r.inFlight > 0 {
			return fmt.Errorf("load: %s left %d requests without an answer for %s", r.plan.Address, r.inFlight, patience)
		}
		return nil
	}
	now := r.now()
	late := func(at int64) {
		if at >= r.begun && at < r.ended {
			r.unanswered++
			r.record(now - at)
		}
	}
	for _, c := range r.conns {
		c.wire.open(func(of call) { late(of.at) })
	}
	for ; r.due() < r.ended; r.sent++ {
		late(r.due())
	}
	return nil
}
