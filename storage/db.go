package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage/watermark"
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
	// the folder. Zero or less: 3 seconds.
	LockTimeout time.Duration
	// LogEntries and LogBytes bound how much of the log is kept: the newest
	// so many revisions, of at most so many bytes, and two revisions at
	// least. Zero: 100,000, and 256 MiB.
	LogEntries uint64
	LogBytes   int64
	// AcceptRollback opens a file that is older than what was acknowledged,
	// or of which that isn't known, by a new epoch. What the watermark knows
	// to have been withdrawn since is withdrawn again. It changes nothing
	// for a file that is the newest.
	AcceptRollback bool
}

const (
	defaultLockTimeout = 3 * time.Second
	defaultLogEntries  = 100_000
	defaultLogBytes    = 256 << 20
)

func (o *Options) setDefaults() {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.LockTimeout <= 0 {
		o.LockTimeout = defaultLockTimeout
	}
	if o.LogEntries == 0 {
		o.LogEntries = defaultLogEntries
	}
	if o.LogBytes <= 0 {
		o.LogBytes = defaultLogBytes
	}
}

// DB is an open store.
type DB struct {
	options Options
	folder  *folder

	// writer is held, by having sent to it, by whoever writes or closes. Its
	// holder may read state without mu. It guards all up to file.
	writer    chan struct{}
	shapes    *shapes // of the newest view
	marks     *watermark.File
	opened    os.FileInfo // of the store's file
	log       logExtent
	pending   *pending    // a write of which it isn't known whether it is on disk
	damage    error       // of the file, found by a write
	broken    error       // why bbolt can't be asked anything any more
	withdrawn []Withdrawn // by Options.AcceptRollback
	gap       error       // what was damaged of the watermark
	closed    bool

	size atomic.Int64 // that the file has at least

	// file is held by readers of bolt, and alone by who replaces it.
	file sync.RWMutex
	bolt *bbolt.DB

	// What is read without a look at the file, and so waits for nothing.
	state   atomic.Pointer[View]          // the newest revision
	changed atomic.Pointer[chan struct{}] // closed at the next revision
	trouble atomic.Pointer[error]         // what the last write found wrong

	// mu is held by readers that look at the state and the file together, so
	// that none is a write ahead of the other. It guards what follows.
	mu    sync.RWMutex
	ahead map[string]*key.Record // as the state has them: keys that the file may have newer
}

// Open opens the store in a folder, and makes both if they aren't there. The
// folder must belong to one user alone: one that holds nothing else is made
// so, another is refused (ErrExposed). So do the files, whatever their rights
// were. Open reads everything into memory and verifies it.
//
// A damaged file is put into quarantine (ErrDamaged), one that is older than
// what was acknowledged is left where it is (ErrRollback, ErrUnproven); both
// are refused, and so is a folder whose store is gone (ErrMissing). Other
// errors are ErrLocked while another process has the folder, ErrFormat for a
// file of another kind or a newer version, and that of Options.Compile. Files
// of earlier versions are taken over; the old file is kept beside.
func Open(dir string, o Options) (*DB, error) {
	o.setDefaults()
	f, err := enterFolder(dir, o.LockTimeout)
	if err != nil {
		return nil, err
	}
	db := &DB{options: o, folder: f, writer: make(chan struct{}, 1)}
	db.begin(newView(), newShapes())
	if err := db.load(); err != nil {
		return nil, errors.Join(err, db.release())
	}
	return db, nil
}

// Close waits for a write in progress and lets go of the files. Views go on
// answering from memory; what needs the files, records among it, returns
// ErrClosed. Closing again does nothing.
func (db *DB) Close() error {
	db.writer <- struct{}{}
	defer db.unlock()
	if db.closed {
		return nil
	}
	db.closed = true
	return db.release()
}

// release lets go of what is open.
func (db *DB) release() error {
	var errs []error
	if db.bolt != nil && db.broken == nil {
		errs = append(errs, db.bolt.Close())
	}
	if db.marks != nil {
		errs = append(errs, db.marks.Close())
	}
	return errors.Join(append(errs, db.folder.leave())...)
}

// Position returns how far the store is.
func (db *DB) Position() Position { return db.state.Load().position }

// Changed returns a channel that is closed at the next revision. Ask for it
// first and look at the store then, so that no revision falls in between.
func (db *DB) Changed() <-chan struct{} { return *db.changed.Load() }

// begin makes a view the newest of a store that nobody has seen yet.
func (db *DB) begin(v *View, numbers *shapes) {
	db.state.Store(v)
	db.shapes = numbers
	db.changed.Store(new(make(chan struct{})))
	db.setTrouble(nil)
}

// lock makes the caller the only writer, or returns why it can't be.
func (db *DB) lock(ctx context.Context) error {
	select {
	case db.writer <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("waiting for another write: %w", ctx.Err())
	}
	err := ctx.Err()
	if db.closed {
		err = ErrClosed
	}
	if err != nil {
		db.unlock()
	}
	return err
}

func (db *DB) unlock() { <-db.writer }
