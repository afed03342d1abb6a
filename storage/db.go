package storage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

// Conditions of a store. They are wrapped with the place; test them with errors.Is.
var (
	// ErrLocked is returned by Open when another process has the file open.
	ErrLocked = errors.New("another process has the store open: stop it first, or ask it through its admin address")
	// ErrFormat is returned by Open for a file that this version can't read.
	ErrFormat = errors.New("not a store that this version of Latchkey can read")
	// ErrExposed is returned by Open for a folder that other users may enter.
	ErrExposed = errors.New("other users may enter the data folder")
	// ErrClosed is returned by what needs the file after Close.
	ErrClosed = errors.New("the store is closed")
	// ErrFailed is returned by a write of which it isn't known whether it is
	// on disk, and by all that follow. Opening the store again finds out.
	ErrFailed = errors.New("a write to the store failed half-way: start the process again")
)

// Options of Open. The zero value is usable.
type Options struct {
	// Compile is asked with every policy document of a revision, by name,
	// before that revision is recorded, and once by Open. What it returns is
	// what View.Policies returns from then on; an error or a panic refuses
	// the write. It must not keep or change the map. Views go on meanwhile,
	// other writers wait. Nil: policies are kept and View.Policies is nil.
	Compile func(documents map[string][]byte) (any, error)
	// Now is the clock for the log. Nil: time.Now.
	Now func() time.Time
	// LockTimeout is how long Open waits for another process to let go of
	// the file. Zero or less: 3 seconds.
	LockTimeout time.Duration
}

const defaultLockTimeout = 3 * time.Second

// DB is an open store.
type DB struct {
	options Options
	bolt    *bbolt.DB

	// writer is held, by having sent to it, by whoever writes, and for ever
	// by Close. Its holder may read state without mu.
	writer chan struct{}
	failed error // why nothing can be written any more; owned by writer
	closed bool  // owned by writer

	mu      sync.RWMutex // guards what follows
	state   View
	changed chan struct{} // closed at the next revision
}

// Position is how far a store is: a lineage and its revision.
type Position struct {
	Epoch    uint64 // lineage: when it began, in microseconds since 1970
	Revision uint64 // 0 before the first write
}

// Open opens the store in a folder, and makes both if they aren't there. The
// folder must belong to one user alone: one that holds nothing else is made
// so, another is refused (ErrExposed). So does the file, whatever its rights were. Open reads everything into memory.
//
// It returns ErrLocked while another process has the store, ErrFormat for a
// file of another kind or a newer version, and the error of Options.Compile.
func Open(dir string, o Options) (*DB, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.LockTimeout <= 0 {
		o.LockTimeout = defaultLockTimeout
	}
	bolt, err := openFile(dir, o.LockTimeout)
	if err != nil {
		return nil, err
	}
	db := &DB{options: o, bolt: bolt, writer: make(chan struct{}, 1), changed: make(chan struct{})}
	if err := db.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", bolt.Path(), err), bolt.Close())
	}
	return db, nil
}

// Close waits for a write in progress and lets go of the file. Views go on
// answering from memory; what needs the file returns ErrClosed. Closing again
// does nothing.
func (db *DB) Close() error {
	db.writer <- struct{}{}
	defer db.unlock()
	if db.closed {
		return nil
	}
	db.closed = true
	return db.bolt.Close()
}

// Position returns how far the store is.
func (db *DB) Position() Position {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return db.state.position
}

// Changed returns a channel that is closed at the next revision. Ask for it
// first and look at the store then, so that no revision falls in between.
func (db *DB) Changed() <-chan struct{} {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return db.changed
}

// lock makes the caller the only writer, or returns why it can't be.
func (db *DB) lock(ctx context.Context) error {
	select {
	case db.writer <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("waiting for another write: %w", ctx.Err())
	}
	err := ctx.Err()
	switch {
	case db.closed:
		err = ErrClosed
	case db.failed != nil:
		err = db.failed
	}
	if err != nil {
		db.unlock()
	}
	return err
}

func (db *DB) unlock() { <-db.writer }
