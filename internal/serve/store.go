package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// How often the store is looked after, and how long one look may wait.
const (
	mendHealthy  = 5 * time.Second
	mendTroubled = time.Second
	mendPatience = 10 * time.Second
)

// Mender is what looking after a store takes: *storage.DB.
type Mender interface {
	// Mend returns what is wrong with the store and can't be put right.
	Mend(context.Context) error
	// Trouble returns what is known to be wrong, and waits for nothing.
	Trouble() error
	// Failures has why a write failed.
	Failures() <-chan error
}

// StoreHealth looks after the store, and tells whether it takes writes.
type StoreHealth struct {
	db   Mender
	tell func(writable bool) // the health
	log  *episodes

	mu    sync.Mutex
	stuck error // a writer holds the store for longer than any write takes
}

// NewStoreHealth returns the health of a store; tell is told whether it takes writes.
func NewStoreHealth(db Mender, tell func(writable bool), log *slog.Logger) *StoreHealth {
	return &StoreHealth{db: db, tell: tell, log: &episodes{log: log}}
}

// Problem returns why the store takes no writes, and nil while it does.
func (s *StoreHealth) Problem() error {
	if err := s.db.Trouble(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stuck
}

// Watch looks after the store until the context ends: what failed a moment ago
// may go again, and a file that was moved away is noticed before the next write
// fails.
func (s *StoreHealth) Watch(ctx context.Context) error {
	s.tell(true)
	every := mendHealthy
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case err = <-s.db.Failures():
		case <-tick.C:
			err = s.mend(ctx)
		}
		if ctx.Err() != nil {
			return nil
		}
		s.tell(err == nil)
		s.log.note(err)
		next := mendHealthy
		if err != nil {
			next = mendTroubled
		}
		if next != every { // else writes that fail one after the other would put the next look off
			every = next
			tick.Reset(every)
		}
	}
}

// episodes writes into the log when the store stops taking writes and when it
// takes them again. Of times of trouble that follow each other within toldEvery,
// as where a large write finds no room and a small one does, one is told.
type episodes struct {
	log   *slog.Logger
	told  bool // that it takes none now
	since time.Time
}

// note is told what is wrong with the store, or that nothing is.
func (e *episodes) note(err error) {
	switch now := time.Now(); {
	case err != nil && !e.told && now.Sub(e.since) >= toldEvery:
		e.told, e.since = true, now
		e.log.Error("the store takes no writes: requests are decided from memory", "error", err)
	case err == nil && e.told:
		e.told = false
		e.log.Info("the store takes writes again")
	}
}

// mend looks after the store once, and returns what is wrong with it.
func (s *StoreHealth) mend(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, mendPatience)
	defer cancel()
	err := s.db.Mend(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stuck = nil
	if errors.Is(err, context.DeadlineExceeded) {
		s.stuck = fmt.Errorf("a write doesn't come to its end, since %s at least: see whether the disk answers: %w", mendPatience, err)
		err = s.stuck
	}
	return err
}
