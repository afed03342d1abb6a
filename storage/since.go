package storage

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

// Since returns the entries that follow a position, oldest first: at least one,
// and no more once their values have so many bytes. There are none where the
// position is the newest. That entries come back proves that the position is in
// this store's history: epoch, revision and digest are those of its log there.
//
// Errors are ErrTrimmed where the log doesn't go back that far, also for the
// zero Position; ErrDiverged for a position that is ahead or of another history;
// and those of reads.
func (db *DB) Since(at Position, bytes int) ([]*logv1.Entry, error) {
	var entries []*logv1.Entry
	err := db.readKnown(func(tx *bbolt.Tx, newest Position) error {
		s := since{tx: tx, after: at, newest: newest, left: bytes}
		if err := s.prove(); err != nil || at == newest {
			return err
		}
		var err error
		entries, err = s.read()
		return err
	})
	if p := (*panicError)(nil); errors.As(err, &p) {
		err = &DamageError{Reason: "page", Problems: []error{err}}
	}
	if err != nil {
		return nil, fmt.Errorf("what follows %s: %w", at, err)
	}
	return entries, nil
}

// since reads what follows a position.
type since struct {
	tx     *bbolt.Tx
	after  Position
	newest Position // that views see: the file may be further
	left   int      // bytes
}

// prove returns why the position isn't known to be in the history of the store.
func (s *since) prove() error {
	at := s.after
	if at == s.newest && at != (Position{}) {
		return nil
	}
	if at.Revision > s.newest.Revision || at.Epoch > s.newest.Epoch {
		return fmt.Errorf("%w: the store is at %s", ErrDiverged, s.newest)
	}
	floor, err := storedFloor(s.tx)
	if err != nil {
		return err
	}
	if at == (Position{}) || at.Revision < floor && !(at.Revision == 0 && floor == 1) {
		return fmt.Errorf("%w: its oldest entry is revision %d", ErrTrimmed, floor)
	}
	if at.Revision == 0 {
		return s.proveBeginning()
	}
	e, err := s.entry(at.Revision)
	if err != nil {
		return err
	}
	if there := position(e.GetEpoch(), e.GetRevision(), e.GetDigest()); there != at {
		return fmt.Errorf("%w: it was at %s", ErrDiverged, there)
	}
	return nil
}

// proveBeginning is prove for a store before its first write, which has no entry:
// it has nothing, and is of the lineage of its first.
func (s *since) proveBeginning() error {
	epoch := s.newest.Epoch
	if s.newest.Revision > 0 {
		e, err := s.entry(1)
		if err != nil {
			return err
		}
		epoch = e.GetEpoch()
	}
	if s.after != (Position{Epoch: epoch}) {
		return fmt.Errorf("%w: it began with epoch %d", ErrDiverged, epoch)
	}
	return nil
}

// read returns what follows.
func (s *since) read() (entries []*logv1.Entry, err error) {
	for revision := s.after.Revision + 1; revision <= s.newest.Revision; revision++ {
		e, err := s.entry(revision)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
		for _, p := range e.GetPuts() {
			s.left -= len(p.GetValue())
		}
		if s.left <= 0 {
			break
		}
	}
	return entries, nil
}

func (s *since) entry(revision uint64) (*logv1.Entry, error) {
	e, _, err := storedEntry(s.tx, revision)
	return e, err
}
