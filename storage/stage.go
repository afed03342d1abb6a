package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/types/known/timestamppb"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

// Staged is a whole store that a replica receives beside its own: Write what
// Export wrote, Finish it, look at it, Swap it in. It is in a file of its own,
// and checks and Apply go on meanwhile. Its methods are safe for concurrent use.
type Staged struct {
	db     *DB
	at     Position
	latest time.Time
	origin string

	mu      sync.Mutex // guards all that follows
	stream  stream
	bolt    *bbolt.DB
	tx      *bbolt.Tx // that is being filled
	filled  int       // bytes that are in it
	objects uint64
	image   *image      // once it is finished
	opened  os.FileInfo // of the finished file
	over    error       // why nothing can be done with it any more
}

// stagedAtOnce is how many bytes of objects one transaction takes. They are in
// memory until it ends.
const stagedAtOnce = 4 << 20

var errDiscarded = errors.New("it was discarded: begin anew with Stage")

// Stage begins to receive a whole store of some origin, as it is at a position
// whose revision was written at some time. There is one at a time: an earlier one is discarded.
// Close discards it too, and so does the next Open after a crash. Errors are
// ErrClosed, ErrDisk, and that the position can't be that of a snapshot.
func (db *DB) Stage(at Position, latest time.Time, origin string) (*Staged, error) {
	if !db.options.Replica {
		return nil, fmt.Errorf("staging a snapshot: %w", errNotReplica)
	}
	if at.Epoch == 0 {
		return nil, fmt.Errorf("staging a snapshot: its position has no epoch: it is of a store that has nothing")
	}
	db.staging.Lock()
	defer db.staging.Unlock()
	if db.ended {
		return nil, fmt.Errorf("staging a snapshot: %w", ErrClosed)
	}
	if db.staged != nil {
		if err := db.staged.Discard(); err != nil {
			return nil, fmt.Errorf("discarding the snapshot before: %w", err)
		}
	}
	s := &Staged{db: db, at: at, latest: latest, origin: origin}
	if err := s.create(); err != nil {
		return nil, fmt.Errorf("%w: staging a snapshot: %w", ErrDisk, err)
	}
	db.staged = s
	return s, nil
}

// endStaging discards what is staged. Nothing can be staged any more.
func (db *DB) endStaging() error {
	db.staging.Lock()
	defer db.staging.Unlock()
	db.ended = true
	if db.staged == nil {
		return nil
	}
	return db.staged.Discard()
}

// create makes the file with its buckets.
func (s *Staged) create() error {
	path := s.db.folder.staged()
	if err := removeIfThere(path); err != nil {
		return err
	}
	var err error
	if s.bolt, err = openBolt(path, s.db.options.LockTimeout); err != nil {
		return errors.Join(err, removeIfThere(path))
	}
	// It counts once it is finished, and is synced then.
	s.bolt.NoSync = true
	err = contain(func() error {
		return s.bolt.Update(func(tx *bbolt.Tx) error {
			for _, name := range buckets {
				if _, err := tx.CreateBucket(name); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err != nil {
		return errors.Join(err, s.drop(err))
	}
	return nil
}

// Objects returns how many objects have come.
func (s *Staged) Objects() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects
}

// Write takes the next bytes of what Export wrote, cut anywhere. They needn't be
// durable on return. After an error, which says what is wrong with them or is
// ErrDisk, the snapshot is discarded.
func (s *Staged) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over == nil && s.image != nil {
		return 0, fmt.Errorf("receiving a snapshot: it is finished")
	}
	if s.over != nil {
		return 0, fmt.Errorf("receiving a snapshot: %w", s.over)
	}
	if err := s.stream.write(p, s.put); err != nil {
		return 0, s.fail(fmt.Errorf("receiving a snapshot: %w", err))
	}
	return len(p), nil
}

// put stores an object.
func (s *Staged) put(p *logv1.Put) error {
	err := contain(func() (err error) {
		if s.tx == nil {
			if s.tx, err = s.bolt.Begin(true); err != nil {
				return err
			}
		}
		bucket := bucketOf(p.GetKind())
		// Names come in order, and a page that is full isn't come back to.
		b := s.tx.Bucket(bucket)
		b.FillPercent = 0.9
		return b.Put([]byte(p.GetName()), seal(bucket, []byte(p.GetName()), p.GetValue()))
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDisk, err)
	}
	s.objects++
	if s.filled += len(p.GetName()) + len(p.GetValue()); s.filled < stagedAtOnce {
		return nil
	}
	return s.flush()
}

// flush ends the transaction that is being filled.
func (s *Staged) flush() error {
	if s.tx == nil {
		return nil
	}
	tx := s.tx
	s.tx, s.filled = nil, 0
	if err := contain(tx.Commit); err != nil {
		return fmt.Errorf("%w: %w", ErrDisk, err)
	}
	return nil
}

// Finish ends what is written, makes it durable, and reads it back as Open would
// read it: everything in it is whole, its digest is that of its position, and
// its policies compile. It must be called before Returning and Swap. After an
// error the snapshot is discarded. Errors are what is wrong with it, ErrDisk, and
// that of the context.
func (s *Staged) Finish(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil || s.image != nil {
		return s.over
	}
	if err := s.finish(ctx); err != nil {
		return s.fail(fmt.Errorf("finishing the snapshot of %s: %w", s.at, err))
	}
	return nil
}

func (s *Staged) finish(ctx context.Context) error {
	if err := errors.Join(ctx.Err(), s.stream.end()); err != nil {
		return err
	}
	if s.at.Revision == 0 && s.objects > 0 {
		return fmt.Errorf("there are %d objects in it, and none was written at that revision", s.objects)
	}
	if err := s.flush(); err != nil {
		return err
	}
	path, bolt := s.db.folder.staged(), s.bolt
	err := contain(func() error { return bolt.Update(s.head) })
	if err == nil {
		err = bolt.Sync()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDisk, err)
	}
	s.bolt = nil
	if err := bolt.Close(); err != nil {
		return fmt.Errorf("%w: %w", ErrDisk, err)
	}
	img, err := readStore(path)
	var d *DamageError
	if errors.As(err, &d) {
		// Of what came, and not of the store.
		return fmt.Errorf("it isn't whole: %w", errors.Join(d.Problems...))
	}
	if err != nil {
		return err
	}
	if s.opened, err = os.Lstat(path); err != nil {
		return err
	}
	// Policies are compiled by one at a time.
	if err := s.db.lock(ctx); err != nil {
		return err
	}
	defer s.db.unlock()
	if img.view.policies, err = s.db.compile(img.view.documents); err != nil {
		return err
	}
	s.image = img
	return nil
}

// head writes what a store has beside its objects.
func (s *Staged) head(tx *bbolt.Tx) error {
	if err := errors.Join(s.db.writeRole(tx), writeOrigin(tx, s.origin)); err != nil {
		return err
	}
	if s.at.Revision == 0 {
		return writeMeta(tx, s.at, 1)
	}
	_, err := s.log(tx, nil)
	return errors.Join(err, writeMeta(tx, s.at, s.at.Revision))
}

// entry is what stands in the log for all that led to the snapshot.
func (s *Staged) entry(supersedes *logv1.Position) *logv1.Entry {
	e := &logv1.Entry{
		Epoch: s.at.Epoch, Revision: s.at.Revision, Digest: s.at.Digest[:],
		At: timestamppb.New(s.latest), Action: actionSnapshot, Supersedes: supersedes,
	}
	return e
}

// log writes the log and returns its extent.
func (s *Staged) log(tx *bbolt.Tx, supersedes *logv1.Position) (logExtent, error) {
	value, err := encoding.Marshal(s.entry(supersedes))
	if err != nil {
		return logExtent{}, err
	}
	return logExtent{s.at.Revision, int64(len(value))}, put(tx, bucketLog, number(s.at.Revision), value)
}

// Discard removes the snapshot, if it isn't the store by now. It may be called
// at any time, and again.
func (s *Staged) Discard() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		return nil
	}
	return s.drop(errDiscarded)
}

// fail discards the snapshot after an error.
func (s *Staged) fail(err error) error { return errors.Join(err, s.drop(err)) }

// drop lets go of the file and removes it.
func (s *Staged) drop(why error) error {
	s.over, s.image, s.stream = why, nil, stream{}
	var errs []error
	// After a panic bbolt's locks may be held, and to close it would wait for ever.
	if p := (*panicError)(nil); s.bolt != nil && !errors.As(why, &p) {
		if s.tx != nil {
			errs = append(errs, s.tx.Rollback())
		}
		errs = append(errs, s.bolt.Close())
	}
	s.bolt, s.tx = nil, nil
	return errors.Join(append(errs, removeIfThere(s.db.folder.staged()))...)
}
