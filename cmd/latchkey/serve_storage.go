package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/latchkey/latchkey/admin"
	"github.com/latchkey/latchkey/storage"
)

// openStore opens the store of a configuration, and tells what it found.
func openStore(config *serveConfig, log *slog.Logger) (*storage.DB, error) {
	db, err := openNewest(config, log)
	if err != nil {
		return nil, err
	}
	if gap := db.Gap(); gap != nil {
		log.Warn("an older part of the watermark is damaged: it began anew, and a restore of a backup from before now knows of revocations alone: make a backup", "error", gap)
	}
	return db, nil
}

// openNewest opens the store, and accepts one that isn't the newest if it is told to.
func openNewest(config *serveConfig, log *slog.Logger) (*storage.DB, error) {
	o := storageOptions(&admin.Compiler{})
	db, err := storage.Open(config.data, o)
	older := errors.Is(err, storage.ErrRollback) || errors.Is(err, storage.ErrUnproven)
	switch {
	case !config.acceptRollback:
		return db, err
	case err == nil:
		log.Warn("--accept-rollback was given, and nothing had to be accepted: leave it out from now on")
		return db, nil
	case !older:
		return nil, err
	}
	log.Warn("the store isn't known to be the newest, and --accept-rollback says to go on from it: later writes are given up", "data", config.data, "error", err)
	o.AcceptRollback = true
	if db, err = storage.Open(config.data, o); err != nil {
		return nil, err
	}
	for _, w := range db.Withdrawn() {
		log.Warn("withdrawn again", "kind", w.Kind, "name", w.Name, "what", w.What)
	}
	return db, nil
}

// How often the store is looked after, and how long one look may wait.
const (
	mendHealthy  = 5 * time.Second
	mendTroubled = time.Second
	mendPatience = 10 * time.Second
)

// mender is what looking after the store takes: *storage.DB.
type mender interface {
	// Mend returns what is wrong with the store and can't be put right.
	Mend(context.Context) error
	// Trouble returns what is known to be wrong, and waits for nothing.
	Trouble() error
}

// storeHealth looks after the store, and tells whether it takes writes.
type storeHealth struct {
	db   mender
	tell func(writable bool) // the health
	log  *slog.Logger

	mu    sync.Mutex
	stuck error // a writer holds the store for longer than any write takes
}

func newStoreHealth(db mender, tell func(writable bool), log *slog.Logger) *storeHealth {
	return &storeHealth{db: db, tell: tell, log: log}
}

// problem returns why the store takes no writes, and nil while it does.
func (s *storeHealth) problem() error {
	if err := s.db.Trouble(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stuck
}

// watch looks after the store until the context ends: what failed a moment ago
// may go again, and a file that was moved away is noticed before the next write
// fails.
func (s *storeHealth) watch(ctx context.Context) error {
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
func (s *storeHealth) mend(ctx context.Context) error {
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
