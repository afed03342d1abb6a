package replica

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// senderPatience is how long replicas wait for senders of whom none comes back. Then others take their place.
const senderPatience = 2 * time.Millisecond

// senders are a few goroutines that send to all replicas: a goroutine for each would cost more memory than all else
// that a replica takes, and be woken for each write. Senders who have to wait for peers who read slowly, or send whole
// snapshots, are replaced once none is left, and end when they are done: nobody waits for a peer but its own sender.
type senders struct {
	all sync.WaitGroup

	mu         sync.Mutex
	more       sync.Cond
	queue      []*subscription
	over       bool
	generation int    // of the senders; those before end when they are done
	waiting    int    // senders with nothing to do
	begun      uint64 // turns
	watch      *time.Timer
	watched    bool   // the watch is running
	before     uint64 // begun, when the watch was started
}

// turn is how a subscription stands to the senders, of which one at a time serves it. Guarded by senders.mu.
type turn uint8

const (
	unwelcomed turn = iota // not to be served yet: the Welcome comes first
	resting
	queued
	served
	again   // served, and there is more to look at since
	retired // never to be served again
)

func newSenders() *senders {
	q := &senders{}
	q.more.L = &q.mu
	q.watch = time.AfterFunc(time.Hour, q.look)
	q.watch.Stop()
	return q
}

// run sends until the context ends, and returns when all senders have.
func (q *senders) run(ctx context.Context) {
	q.mu.Lock()
	q.replace()
	q.mu.Unlock()
	<-ctx.Done()
	q.mu.Lock()
	q.over = true
	q.watch.Stop()
	q.more.Broadcast()
	q.mu.Unlock()
	q.all.Wait()
}

// replace has new senders take the place of those there are. The mutex must be held.
func (q *senders) replace() {
	q.generation++
	for range runtime.GOMAXPROCS(0) {
		generation := q.generation
		q.all.Go(func() { q.send(generation) })
	}
}

// send is one sender.
func (q *senders) send(generation int) {
	for s := q.next(generation); s != nil; s = q.next(generation) {
		for more := true; more; more = q.done(s) {
			s.serve()
		}
	}
}

// next waits for a subscription to serve; nil for no more.
func (q *senders) next(generation int) *subscription {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.over && generation == q.generation {
		if len(q.queue) == 0 {
			q.queue = nil // a burst's is let go of
			q.waiting++
			q.more.Wait()
			q.waiting--
			continue
		}
		s := q.queue[0]
		q.queue[0], q.queue = nil, q.queue[1:]
		if s.turn == queued {
			s.turn = served
			q.begun++
			q.watchOver()
			return s
		}
	}
	return nil
}

// watchOver sees to it that those who wait now are served, whatever becomes of the senders that are busy. The mutex
// must be held.
func (q *senders) watchOver() {
	if !q.watched && len(q.queue) > 0 && q.waiting == 0 {
		q.watched, q.before = true, q.begun
		q.watch.Reset(senderPatience)
	}
}

// look replaces the senders if none has come back since the watch was started.
func (q *senders) look() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.watched = false
	if q.over {
		return
	}
	if len(q.queue) > 0 && q.waiting == 0 && q.begun == q.before {
		q.replace()
	}
	q.watchOver()
}

// done ends a turn, unless there is more to look at since it began.
func (q *senders) done(s *subscription) (more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case s.retiring != nil:
		s.turn = retired
		close(s.retiring)
	case s.turn == again:
		s.turn = served
		return true
	default:
		s.turn = resting
	}
	return false
}

// begin has a subscription served from now on.
func (q *senders) begin(s *subscription) {
	q.mu.Lock()
	s.turn = resting
	q.mu.Unlock()
	q.wake(s)
}

// wake has subscriptions looked at.
func (q *senders) wake(some ...*subscription) {
	q.mu.Lock()
	defer q.mu.Unlock()
	before := len(q.queue)
	for _, s := range some {
		switch s.turn {
		case resting:
			s.turn = queued
			q.queue = append(q.queue, s)
		case served:
			s.turn = again
		}
	}
	switch len(q.queue) - before {
	case 0:
		return
	case 1:
		q.more.Signal()
	default:
		q.more.Broadcast()
	}
	q.watchOver()
}

// retire returns once a subscription isn't served, and never will be again.
func (q *senders) retire(s *subscription) {
	q.mu.Lock()
	if s.turn != served && s.turn != again {
		s.turn = retired
		q.mu.Unlock()
		return
	}
	s.retiring = make(chan struct{})
	q.mu.Unlock()
	<-s.retiring
}
