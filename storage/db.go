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
	// least. Zero: 100,000, for a replica 1,000; and 256 MiB.
	LogEntries uint64
	LogBytes   int64
	// AcceptRollback opens a file that is older than what was acknowledged,
	// or of which that isn't known, by a new epoch. What the watermark knows
	// to have been withdrawn since is withdrawn again. It changes nothing
	// for a file that is the newest.
	AcceptRollback bool
	// Replica opens a store that follows a hub's: Apply and Stage write it, and
	// all else returns ErrReplica. What can't be used of the folder, for being
	// damaged or gone or of another world, is put aside, and the store begins
	// anew, or goes on from what it has: see Recovered and Floor.
	Replica bool
}

const (
	defaultLockTimeout = 3 * time.Second
	defaultLogEntries  = 100_000
	defaultLogBytes    = 256 << 20
	replicaLogEntries  = 1000 // nobody follows a replica
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
		if o.Replica {
			o.LogEntries = replicaLogEntries
		}
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
	shapes    *shapes         // of the newest view
	marks     *watermark.File // a replica's may be nil until the first write
	marked    Position        // the newest mark of a replica
	opened    os.FileInfo     // of the store's file; changed with file held too
	log       logExtent
	pending   *pending    // a write of which it isn't known whether it is on disk
	damage    error       // of the file, found by a write
	broken    error       // why bbolt can't be asked anything any more
	withdrawn []Withdrawn // by Options.AcceptRollback
	gap       error       // what was damaged of the watermark
	recovered error       // why a replica's store isn't what it was left as
	closed    bool

	size atomic.Int64 // that the file has at least

	// file is held by readers of bolt, and alone by who replaces it.
	file sync.RWMutex
	bolt *bbolt.DB

	// What is read without a look at the file, and so waits for nothing.
	state    atomic.Pointer[View]          // the newest revision
	changed  atomic.Pointer[chan struct{}] // closed at the next revision
	trouble  atomic.Pointer[error]         // what the last write found wrong
	failures chan error                    // see Failures
	origin   atomic.Pointer[string]        // where what the store holds comes from
	known    atomic.Pointer[Position]      // how far a replica was when it was opened or replaced

	// mu is held by readers that look at the state and the file together, so
	// that none is a write ahead of the other. It guards what follows.
	mu    sync.RWMutex
	ahead map[string]*key.Record // as the state has them: keys that the file may have newer

	// staging guards what follows. It is taken before the lock of a Staged.
	staging sync.Mutex
	staged  *Staged // the newest, whatever became of it
	ended   bool    // no other may be begun
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
// of earlier versions are taken over; the old file is kept beside. For a
// replica's store see Options.Replica.
func Open(dir string, o Options) (*DB, error) {
	o.setDefaults()
	if o.Replica && o.AcceptRollback {
		return nil, fmt.Errorf("accepting a rollback: %w", ErrReplica)
	}
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
	discarded := db.endStaging()
	db.writer <- struct{}{}
	defer db.unlock()
	if db.closed {
		return nil
	}
	db.closed = true
	return errors.Join(discarded, db.release())
}

// release lets go of what is open.
func (db *DB) release() error {
	var errs []error
	if db.bolt != nil && db.broken == nil {
		errs = append(errs, db.bolt.Close())
	}
	if p := db.pending; p != nil && p.exchange != nil {
		errs = append(errs, p.exchange.bolt.Close())
	}
	if db.marks != nil {
		errs = append(errs, db.marks.Close())
	}
	return errors.Join(append(errs, db.folder.leave())...)
}

// Position returns how far the store is.
func (db *DB) Position() Position { return db.state.Load().position }

// Origin returns the random name that the store was given when it was made, or
// that of the store that a replica follows, or that a backup was of. Stores of
// two origins have nothing to do with each other, whatever their positions are.
// It is empty for a replica that has nothing, and where it isn't known.
func (db *DB) Origin() string { return *db.origin.Load() }

// Changed returns a channel that is closed at the next revision. Ask for it
// first and look at the store then, so that no revision falls in between.
func (db *DB) Changed() <-chan struct{} { return *db.changed.Load() }

// begin makes a view the newest of a store that nobody has seen yet.
func (db *DB) begin(v *View, numbers *shapes) {
	db.state.Store(v)
	db.shapes = numbers
	db.changed.Store(new(make(chan struct{})))
	db.known.Store(&v.position)
	db.origin.Store(new(string))
	db.failures = make(chan error, 1)
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
