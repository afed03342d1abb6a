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
}

// StoreHealth looks after the store, and tells whether it takes writes.
type StoreHealth struct {
	db   Mender
	tell func(writable bool) // the health
	log  *slog.Logger

	mu    sync.Mutex
	stuck error // a writer holds the store for longer than any write takes
}

// NewStoreHealth returns the health of a store; tell is told whether it takes writes.
func NewStoreHealth(db Mender, tell func(writable bool), log *slog.Logger) *StoreHealth {
	return &StoreHealth{db: db, tell: tell, log: log}
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
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := s.mend(ctx)
		if ctx.Err() != nil {
			return nil
		}
		s.tell(err == nil)
		next := mendHealthy
		if err != nil {
			next = mendTroubled
		}
		if next == every {
			continue
		}
		every = next
		tick.Reset(every)
		if err != nil {
			s.log.Error("the store takes no writes: requests are decided from memory", "error", err)
		} else {
			s.log.Info("the store takes writes again")
		}
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
