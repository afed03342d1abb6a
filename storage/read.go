package storage

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Keys calls f with each key whose id follows, in order of id, until f returns
// false; "" begins at the first. Writes go on meanwhile and f may take its
// time: a key that is written during the walk is seen as it was or as it
// became. The position returned is that of the beginning: everything up to it
// was seen.
func (db *DB) Keys(after string, f func(*key.Record) bool) Position {
	start := db.Position()
	var some []*key.Record
	for {
		some = db.someKeys(some[:0], after)
		if len(some) == 0 {
			return start
		}
		for _, r := range some {
			if !f(r) {
				return start
			}
		}
		after = some[len(some)-1].ID
	}
}

// someKeys appends the next few keys.
func (db *DB) someKeys(to []*key.Record, after string) []*key.Record {
	db.mu.RLock()
	defer db.mu.RUnlock()
	for _, id := range db.state.order.after(after) {
		to = append(to, db.state.keys[id])
	}
	return to
}

// Directory returns all tenants and principals of one revision, in order of name.
func (db *DB) Directory() ([]*directory.Tenant, []*directory.Principal, Position) {
	db.mu.RLock()
	tenants := slices.Collect(maps.Values(db.state.tenants))
	principals := slices.Collect(maps.Values(db.state.principals))
	position := db.state.position
	db.mu.RUnlock()
	slices.SortFunc(tenants, func(a, b *directory.Tenant) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(principals, func(a, b *directory.Principal) int { return strings.Compare(a.ID, b.ID) })
	return tenants, principals, position
}

// Documents returns the policy documents of one revision, by name. The map is
// the caller's, the documents are the store's.
func (db *DB) Documents() (map[string][]byte, Position) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return maps.Clone(db.state.documents), db.state.position
}

// RevealedToken returns the token that was kept for a key, and whether one was.
func (db *DB) RevealedToken(id string) (key.Token, bool, error) {
	var token key.Token
	found := false
	err := db.readFile(func(tx *bbolt.Tx) error {
		text, err := get(tx, bucketReveal, []byte(id))
		if err == nil && text != nil {
			token, found = key.NewToken(string(text)), true
		}
		return err
	})
	// The file may be a write ahead of what views see, and, damaged, behind.
	db.View(func(v *View) {
		if k := v.Key(id); found && (k == nil || !mayKeep(k, token)) {
			token, found = key.Token{}, false
		}
	})
	return token, found, err
}

// Log returns up to limit entries that follow a revision, oldest first, and none
// when there are none yet or the limit is not positive. It returns ErrTrimmed
// where the first of them isn't kept any more: see Options.LogEntries.
func (db *DB) Log(after uint64, limit int) ([]*logv1.Entry, error) {
	newest := db.Position().Revision // the file may be one ahead of what views see
	var entries []*logv1.Entry
	err := db.readFile(func(tx *bbolt.Tx) error {
		if after >= newest {
			return nil
		}
		value, err := get(tx, bucketMeta, metaFloor)
		if err != nil {
			return err
		}
		if floor, ok := parseNumber(value); !ok || after+1 < floor {
			return fmt.Errorf("%w: it begins with revision %d", ErrTrimmed, floor)
		}
		c := tx.Bucket(bucketLog).Cursor()
		for name, sealed := c.Seek(number(after + 1)); name != nil && len(entries) < limit; name, sealed = c.Next() {
			revision, _ := parseNumber(name)
			if revision > newest {
				break
			}
			value, err := unseal(bucketLog, name, sealed)
			if err != nil {
				return fmt.Errorf("log entry %d: %w", revision, err)
			}
			entry, err := decodeEntry(revision, value)
			if err != nil {
				return err
			}
			entries = append(entries, entry)
		}
		// bbolt believes its pages: a damaged one is passed over, or sought in vain.
		for i := range min(uint64(max(limit, 0)), newest-after) {
			if next := after + 1 + i; i == uint64(len(entries)) || entries[i].GetRevision() != next {
				return &DamageError{Reason: "log", Problems: []error{fmt.Errorf("%s: log: entry %d isn't where it should be: restore a backup (latchkey db restore)", db.folder.file(), next)}}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// readFile reads the file. f must be short and keep none of its bytes.
func (db *DB) readFile(f func(*bbolt.Tx) error) error {
	db.file.RLock()
	defer db.file.RUnlock()
	// bbolt looks at its meta pages with a lock held, and a fault there would
	// leave it so: whoever asks next would wait for ever.
	if size, err := sameFile(db.folder.file(), db.opened); err == nil {
		if err := db.cutOff(size); err != nil {
			return err
		}
	}
	err := contain(func() error { return db.bolt.View(f) })
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		return ErrClosed
	}
	return err
}
