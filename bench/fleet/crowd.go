package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

const (
	// maxStaleness is how long replicas say that they answer without news, and askEvery how often they ask: as
	// latchkey-sidecar does by itself.
	maxStaleness = 10 * time.Minute
	askEvery     = 3 * time.Second
	// askStep is how often some of them ask: not all at the same time.
	askStep = 10 * time.Millisecond
	// dialAtOnce followers connect at the same time.
	dialAtOnce = 32
	// soon is how long the last follower may take for anything.
	soon = time.Minute

	followMethod = "/latchkey.replica.v1.ReplicaService/Follow"
)

// crowd is a number of light followers.
type crowd struct {
	followers []*follower
	waiting   atomic.Pointer[waiting]
	entries   atomic.Uint64 // that came, to all of them together
	answers   atomic.Uint64 // to questions
	asking    atomic.Bool

	ending context.CancelFunc
	ended  sync.WaitGroup
	failed chan error // holds the first error
}

// waiting is a key that is to be dead at all followers.
type waiting struct {
	key  string // its id
	left atomic.Int64
	done chan struct{} // closed once none is left
	at   time.Time     // when that was; read after done
}

func (w *waiting) one() {
	if w.left.Add(-1) == 0 {
		w.at = time.Now()
		close(w.done)
	}
}

// follow connects a number of followers to a hub, at its position, and returns once each was welcomed and its first
// question answered.
func follow(ctx context.Context, h *hub, n int) (*crowd, error) {
	c := &crowd{failed: make(chan error, 1)}
	if n == 0 {
		return c, nil
	}
	at, err := h.position(ctx)
	if err != nil {
		return nil, err
	}
	c.followers = make([]*follower, n)
	var dialled sync.WaitGroup
	turns := make(chan struct{}, dialAtOnce)
	for i := range c.followers {
		turns <- struct{}{}
		dialled.Go(func() {
			defer func() { <-turns }()
			if err := c.join(ctx, h, i, at); err != nil {
				c.fail(fmt.Errorf("follower %d connects: %w", i, err))
			}
		})
	}
	dialled.Wait()
	select {
	case err := <-c.failed:
		c.end()
		return nil, h.Blame(err)
	default:
	}
	c.run(context.WithoutCancel(ctx))
	return c, nil
}

// join connects one follower.
func (c *crowd) join(ctx context.Context, h *hub, n int, at *logv1.Position) error {
	conn, err := h.dial(ctx)
	if err != nil {
		return err
	}
	f := &follower{crowd: c, at: at}
	if f.call, err = begin(conn, followMethod); err != nil {
		return errors.Join(err, conn.Close())
	}
	c.followers[n] = f
	if err := conn.SetReadDeadline(time.Now().Add(soon)); err != nil {
		return err
	}
	if err := errors.Join(f.say(hello(n, at)), f.ask()); err != nil {
		return err
	}
	for f.proven == 0 {
		if err := f.hear(); err != nil {
			return err
		}
	}
	return conn.SetReadDeadline(time.Time{})
}

// run has every follower take what comes, and ask, until the end.
func (c *crowd) run(ctx context.Context) {
	ctx, c.ending = context.WithCancel(ctx)
	c.asking.Store(true)
	for n, f := range c.followers {
		c.ended.Go(func() {
			for {
				if err := f.hear(); err != nil {
					if !errors.Is(err, net.ErrClosed) {
						c.fail(fmt.Errorf("follower %d: %w", n, err))
					}
					return
				}
			}
		})
	}
	c.ended.Go(func() { c.askInTurns(ctx) })
}

// fail notes an error.
func (c *crowd) fail(err error) {
	select {
	case c.failed <- err:
	default:
	}
}

// askInTurns has each follower ask every now and then.
func (c *crowd) askInTurns(ctx context.Context) {
	tick := time.NewTicker(askStep)
	defer tick.Stop()
	next, due := 0, 0.0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !c.asking.Load() {
			continue
		}
		for due += float64(len(c.followers)) * float64(askStep) / float64(askEvery); due >= 1; due-- {
			if err := c.followers[next].ask(); err != nil && ctx.Err() == nil {
				c.fail(fmt.Errorf("follower %d asks: %w", next, err))
			}
			next = (next + 1) % len(c.followers)
		}
	}
}

// expect says which key dies next.
func (c *crowd) expect(key string) *waiting {
	w := &waiting{key: key, done: make(chan struct{})}
	if w.left.Store(int64(len(c.followers))); len(c.followers) == 0 {
		w.at = time.Now()
		close(w.done)
	}
	c.waiting.Store(w)
	return w
}

// await waits until the key is dead at all followers, and returns when that was.
func (c *crowd) await(ctx context.Context, w *waiting) (time.Time, error) {
	late := time.NewTimer(soon)
	defer late.Stop()
	select {
	case <-w.done:
		return w.at, nil
	case err := <-c.failed:
		return time.Time{}, err
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	case <-late.C:
		return time.Time{}, fmt.Errorf("%d of %d followers don't know after %s that a key was revoked", w.left.Load(), len(c.followers), soon)
	}
}

// awaitEntries waits until so many entries have come to all followers together.
func (c *crowd) awaitEntries(ctx context.Context, n uint64) error {
	late := time.NewTimer(soon)
	defer late.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for c.entries.Load() < n {
		select {
		case <-tick.C:
		case err := <-c.failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-late.C:
			return fmt.Errorf("%d entries are missing at the followers after %s", n-c.entries.Load(), soon)
		}
	}
	return nil
}

// end ends all followers.
func (c *crowd) end() {
	if c == nil {
		return
	}
	if c.ending != nil {
		c.ending()
	}
	for _, f := range c.followers {
		if f != nil {
			_ = f.call.conn.Close()
		}
	}
	c.ended.Wait()
}
