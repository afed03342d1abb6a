package serve

import (
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Of calls whose turn it isn't yet the connection counts each once, whatever
// becomes of it, and no connection leaves any behind.
func TestQueuedCallsAddUp(t *testing.T) {
	a := &connections{refusals: newRefusals()}
	ends := make([]net.Conn, 8)
	own := make([]*connection, len(ends))
	for i := range own {
		var here net.Conn
		here, ends[i] = net.Pipe()
		own[i] = a.add(here)
	}
	var all sync.WaitGroup
	for i, c := range own {
		all.Go(func() {
			for range 1000 {
				c.queue(3)
			}
			if i%2 == 0 {
				_ = c.Close()
				c.queue(5) // what was read when it was closed
			}
		})
		all.Go(func() {
			for range 1000 {
				c.begin()
			}
		})
	}
	all.Wait()
	want := int64(0)
	for i, c := range own {
		if n := c.queued.Load(); n < 0 || i%2 == 0 && n != 0 {
			t.Errorf("connection %d counts %d", i, n)
		}
		want += c.queued.Load()
	}
	if got := a.queued.Load(); got != want {
		t.Errorf("%d in all, of which connections know %d", got, want)
	}
	for i, c := range own {
		_ = c.Close()
		_ = ends[i].Close()
	}
	if got := a.queued.Load(); got != 0 {
		t.Errorf("%d are left when no connection is", got)
	}
}

// A connection with calls whose turn it isn't is read no further while there are
// too many of them, and not for ever.
func TestNoMoreIsReadThanItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &connections{refusals: newRefusals()}
		busy, other := &connection{all: a}, &connection{all: a}
		busy.queue(fairShare + 1)
		other.queue(maxQueued)
		begin := time.Now()
		go func() { time.Sleep(turnTime / 2); busy.begin() }()
		if busy.awaitTurn(); time.Since(begin) < turnTime/2 || time.Since(begin) > turnTime/2+time.Millisecond {
			t.Errorf("read on after %s", time.Since(begin))
		}
		busy.queue(1)
		begin = time.Now()
		if busy.awaitTurn(); time.Since(begin) < turnTime || busy.queued.Load() != 0 || a.queued.Load() != maxQueued {
			t.Errorf("read on after %s, with %d calls counted", time.Since(begin), busy.queued.Load())
		}
		begin = time.Now()
		busy.queue(1)
		if busy.awaitTurn(); time.Since(begin) != 0 {
			t.Error("a connection within its share waited")
		}
	})
}
