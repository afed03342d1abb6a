package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey/latchkey/storage"
)

// scripted is a store that fails when it is told to.
type scripted struct {
	mu    sync.Mutex
	wrong error // what Mend finds
	known error // what is known without it
	hangs bool  // a writer never ends
	looks int

	failures chan error
}

func (s *scripted) Failures() <-chan error { return s.failures }

func (s *scripted) Mend(ctx context.Context) error {
	s.mu.Lock()
	s.looks++
	hangs, wrong := s.hangs, s.wrong
	s.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return fmt.Errorf("waiting for another write: %w", ctx.Err())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = wrong
	return wrong
}

func (s *scripted) Trouble() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known
}

func (s *scripted) looked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.looks
}

func (s *scripted) set(f func(*scripted)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

// shared is a buffer that is read while others write to it.
type shared struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *shared) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *shared) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// pass lets time of a bubble go by, and what is due then be done.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// watched runs a test with the worker over a scripted store, in a time of its own.
func watched(t *testing.T, test func(t *testing.T, s *scripted, h *StoreHealth, serving func() bool, logged func(string) int)) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{failures: make(chan error)}
		var serving atomic.Bool
		var out shared
		h := NewStoreHealth(s, serving.Store, slog.New(slog.NewTextHandler(&out, nil)))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- h.Watch(ctx) }()
		synctest.Wait()
		test(t, s, h, serving.Load, func(text string) int { return strings.Count(out.String(), text) })
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the worker ended with %v", err)
		}
	})
}

const (
	goesBad  = `level=ERROR msg="the store takes no writes`
	goesGood = `level=INFO msg="the store takes writes again"`
)

func TestStoreHealthFollowsTheStore(t *testing.T) {
	watched(t, func(t *testing.T, s *scripted, h *StoreHealth, serving func() bool, logged func(string) int) {
		if !serving() || h.Problem() != nil {
			t.Error("a store that was just opened takes no writes")
		}
		pass(time.Minute)
		if s.looked() != 12 || !serving() || logged("level=") != 0 {
			t.Errorf("in a good minute: %d looks, serving %v, %d lines", s.looked(), serving(), logged("level="))
		}
		s.set(func(s *scripted) { s.wrong = storage.ErrMoved })
		pass(mendHealthy)
		if serving() || !errors.Is(h.Problem(), storage.ErrMoved) || logged(goesBad) != 1 {
			t.Errorf("with its file away: serving %v, problem %v, %d lines", serving(), h.Problem(), logged(goesBad))
		}
		looks := s.looked()
		pass(time.Minute)
		if s.looked() != looks+60 || serving() || logged(goesBad) != 1 {
			t.Errorf("in a bad minute: %d looks, serving %v, %d lines", s.looked()-looks, serving(), logged(goesBad))
		}
		s.set(func(s *scripted) { s.wrong = nil })
		pass(mendTroubled)
		if !serving() || h.Problem() != nil || logged(goesGood) != 1 || logged("level=") != 2 {
			t.Errorf("put right: serving %v, problem %v, %d lines", serving(), h.Problem(), logged("level="))
		}
		looks = s.looked()
		pass(time.Minute)
		if s.looked() != looks+12 {
			t.Errorf("in another good minute: %d looks", s.looked()-looks)
		}
	})
}

// A write that failed counts at once, before anybody has looked.
func TestAFailedWriteIsAProblemAtOnce(t *testing.T) {
	watched(t, func(t *testing.T, s *scripted, h *StoreHealth, _ func() bool, _ func(string) int) {
		s.set(func(s *scripted) { s.known = storage.ErrDisk })
		if !errors.Is(h.Problem(), storage.ErrDisk) {
			t.Errorf("the problem is %v", h.Problem())
		}
	})
}

// It is in the log at once too, also where the next write goes well; and one that
// fails again and again doesn't fill the log.
func TestFailedWritesAreLogged(t *testing.T) {
	watched(t, func(t *testing.T, s *scripted, _ *StoreHealth, serving func() bool, logged func(string) int) {
		for minute := range 2 {
			for second := range 60 {
				s.failures <- storage.ErrDisk
				synctest.Wait()
				if second == 0 && (serving() || logged(goesBad) != 6*minute+1) {
					t.Fatalf("a write failed: serving %v, %d lines", serving(), logged(goesBad))
				}
				pass(mendTroubled)
				if !serving() {
					t.Fatal("there is room, and it isn't serving")
				}
			}
		}
		if logged(goesBad) != 12 || logged(goesGood) != 12 {
			t.Errorf("in two minutes of failures and recoveries: %d and %d lines", logged(goesBad), logged(goesGood))
		}
		pass(time.Minute)
		if logged("level=") != 24 {
			t.Errorf("afterwards: %d lines", logged("level="))
		}
	})
}

// What goes on is told, although it began too soon after the last time to be.
func TestTroubleThatLastsIsLogged(t *testing.T) {
	watched(t, func(t *testing.T, s *scripted, _ *StoreHealth, _ func() bool, logged func(string) int) {
		s.failures <- storage.ErrDisk
		pass(2 * mendTroubled) // over
		s.set(func(s *scripted) { s.wrong = storage.ErrDisk })
		s.failures <- storage.ErrDisk
		synctest.Wait()
		if logged(goesBad) != 1 || logged(goesGood) != 1 {
			t.Errorf("%d and %d lines", logged(goesBad), logged(goesGood))
		}
		pass(toldEvery)
		if logged(goesBad) != 2 || logged(goesGood) != 1 {
			t.Errorf("once it has lasted: %d and %d lines", logged(goesBad), logged(goesGood))
		}
	})
}

// A disk that doesn't answer makes a write last for ever, and no error tells.
func TestAWriteThatHangsIsAProblem(t *testing.T) {
	watched(t, func(t *testing.T, s *scripted, h *StoreHealth, serving func() bool, logged func(string) int) {
		s.set(func(s *scripted) { s.hangs = true })
		pass(mendHealthy + mendPatience)
		if serving() || h.Problem() == nil || logged(goesBad) != 1 {
			t.Fatalf("serving %v, problem %v, %d lines", serving(), h.Problem(), logged(goesBad))
		}
		s.set(func(s *scripted) { s.hangs = false })
		pass(mendTroubled + mendPatience)
		if !serving() || h.Problem() != nil || logged(goesGood) != 1 {
			t.Errorf("once it has ended: serving %v, problem %v, %d lines", serving(), h.Problem(), logged(goesGood))
		}
	})
}

// Stopping isn't trouble.
func TestStoppingIsNoTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{hangs: true, failures: make(chan error)}
		var serving atomic.Bool
		var out shared
		h := NewStoreHealth(s, serving.Store, slog.New(slog.NewTextHandler(&out, nil)))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- h.Watch(ctx) }()
		pass(mendHealthy + mendPatience/2)
		cancel()
		if err := <-done; err != nil || !serving.Load() || out.String() != "" {
			t.Errorf("ended with %v, serving %v, log %q", err, serving.Load(), out.String())
		}
	})
}
