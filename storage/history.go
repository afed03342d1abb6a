package storage

import (
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

// historyAtOnce and historyEntries are how many bytes and entries are read in one go: a write that needs more room in the
// file waits for whoever reads it.
const (
	historyAtOnce  = 1 << 20
	historyEntries = 256
)

// Oldest is how far back the log goes. It is zero of a store without a write.
type Oldest struct {
	Revision uint64
	At       time.Time // when that revision was written
}

// History calls f with the entries before a revision, the newest first, until f returns false; 0 begins with the
// newest. It returns how far back the log goes: older entries aren't kept, see Options.LogEntries. Writes go on meanwhile and f may take its time. Errors are those of reads.
func (db *DB) History(before uint64, f func(*logv1.Entry) bool) (Oldest, error) {
	for {
		some, oldest, err := db.earlier(before)
		if p := (*panicError)(nil); errors.As(err, &p) {
			err = &DamageError{Reason: "page", Problems: []error{err}}
		}
		if err != nil {
			return Oldest{}, fmt.Errorf("the log: %w", err)
		}
		for _, e := range some {
			if before = e.GetRevision(); !f(e) {
				return oldest, nil
			}
		}
		if len(some) == 0 {
			return oldest, nil
		}
	}
}

// earlier returns the next few entries before a revision, the newest first.
func (db *DB) earlier(before uint64) (some []*logv1.Entry, oldest Oldest, err error) {
	err = db.readKnown(func(tx *bbolt.Tx, at Position) error { // the file may be further than what views see
		if at.Revision == 0 {
			return nil
		}
		floor, err := storedFloor(tx)
		if err != nil {
			return err
		}
		if before == 0 || before > at.Revision {
			before = at.Revision + 1
		}
		for left := historyAtOnce; before > floor && left > 0 && len(some) < historyEntries; before-- {
			e, bytes, err := storedEntry(tx, before-1)
			if err != nil {
				return err
			}
			some, left = append(some, e), left-bytes
		}
		first, _, err := storedEntry(tx, floor)
		oldest = Oldest{floor, first.GetAt().AsTime()}
		return err
	})
	return some, oldest, err
}

// storedEntry reads an entry that the log has, and how many bytes it takes.
func storedEntry(tx *bbolt.Tx, revision uint64) (*logv1.Entry, int, error) {
	value, err := get(tx, bucketLog, number(revision))
	if err == nil && value == nil {
		err = fmt.Errorf("log: entry %d isn't where it should be: restore a backup (latchkey db restore)", revision)
	}
	var e *logv1.Entry
	if err == nil {
		e, err = decodeEntry(revision, value)
	}
	if err != nil {
		return nil, 0, &DamageError{Reason: "log", Problems: []error{err}}
	}
	return e, len(value), nil
}
