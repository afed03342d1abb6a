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

// Now returns the newest revision. It takes no lock and waits for nothing.
func (db *DB) Now() *View { return db.state.Load() }

// View calls f with the store as it is now, records of keys included. No change
// becomes visible while f runs, so f must be short and must not call methods of
// the DB; View.Key is not to be called after it.
func (db *DB) View(f func(*View)) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	v := *db.state.Load()
	v.records = db.readRecord
	f(&v)
}

// someKeys is how many keys are read in one go.
const someKeys = 256

// Keys calls f with each key whose id follows, in order of id, until f returns
// false; "" begins at the first. Writes go on meanwhile and f may take its
// time: a key that is written during the walk is seen as it was or as it
// became. The position returned is that of the beginning: everything up to it
// was seen. Errors are those of reads.
func (db *DB) Keys(after string, f func(*key.Record) bool) (Position, error) {
	now := db.Now()
	start, whole, seen := now.position, after == "", 0
	for {
		some, last, err := db.someKeys(after)
		if err == nil && last == "" && whole && seen < now.all {
			err = &DamageError{Reason: "page", Problems: []error{fmt.Errorf("%d of the keys aren't where they should be: restore a backup (latchkey db restore)", now.all-seen)}}
		}
		if err != nil || last == "" {
			return start, err
		}
		seen += len(some)
		for _, r := range some {
			if !f(r) {
				return start, nil
			}
		}
		after = last
	}
}

// someKeys returns the next few keys, and the last id that was looked at: none
// where no more follow.
func (db *DB) someKeys(after string) (some []*key.Record, last string, err error) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	err = db.readFile(func(tx *bbolt.Tx) error {
		if err := db.notBehind(tx); err != nil {
			return err
		}
		c := tx.Bucket(bucketRecords).Cursor()
		name, sealed := c.Seek([]byte(after))
		if string(name) == after {
			name, sealed = c.Next()
		}
		for n := 0; name != nil && n < someKeys; n++ {
			last = string(name)
			r, err := db.recordOf(last, sealed)
			if err != nil {
				return err
			}
			if r != nil {
				some = append(some, r)
			}
			name, sealed = c.Next()
		}
		return nil
	})
	return some, last, err
}

// recordOf returns the record that is stored sealed as the state has it: nil
// for a key that the file has and the state hasn't yet. mu must be held.
func (db *DB) recordOf(id string, sealed []byte) (*key.Record, error) {
	if r, ok := db.ahead[id]; ok {
		return r, nil
	}
	r, err := decodeRecord(id, sealed)
	if err != nil {
		return nil, &DamageError{Reason: "record", Problems: []error{fmt.Errorf("key %.64q: %w", id, err)}}
	}
	return r, nil
}

// decodeRecord returns the record that is stored sealed under an id, and nil
// for nothing.
func decodeRecord(id string, sealed []byte) (*key.Record, error) {
	if sealed == nil {
		return nil, nil
	}
	value, err := unseal(bucketRecords, []byte(id), sealed)
	if err != nil {
		return nil, err
	}
	d := &delta{}
	if err := d.add(&logv1.Put{Kind: logv1.Kind_KIND_KEY, Name: id, Value: value}); err != nil {
		return nil, err
	}
	return d.keys[0], nil
}

// readRecord reads a record as the state has it. mu must be held.
func (db *DB) readRecord(id string) (r *key.Record, err error) {
	err = db.readFile(func(tx *bbolt.Tx) error {
		if err := db.notBehind(tx); err != nil {
			return err
		}
		r, err = db.recordOf(id, tx.Bucket(bucketRecords).Get([]byte(id)))
		return err
	})
	return r, err
}

// Missing returns ErrDamaged where View.Key finds no key of that id and memory
// knows one: bbolt believes its pages, and seeks in a damaged one in vain. It
// looks at all keys, and is for those who are about to say that there is none.
func (db *DB) Missing(id string) error {
	if !db.Now().has(key.ParseID(id)) {
		return nil
	}
	var r *key.Record
	var err error
	db.View(func(v *View) { r, err = v.Key(id) }) // it may have been made since
	if r == nil && err == nil {
		err = &DamageError{Reason: "page", Problems: []error{fmt.Errorf("key %.64q isn't where it should be: restore a backup (latchkey db restore)", id)}}
	}
	return err
}

// stored returns what the file has of keys, by id, for the writer. Those that
// it hasn't are absent.
func (db *DB) stored(keys []*key.Record) (map[string]*key.Record, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	before := make(map[string]*key.Record, len(keys))
	err := db.readFile(func(tx *bbolt.Tx) error {
		if err := db.notBehind(tx); err != nil {
			return err
		}
		for _, k := range keys {
			r, err := decodeRecord(k.ID, tx.Bucket(bucketRecords).Get([]byte(k.ID)))
			if err != nil {
				return &DamageError{Reason: "checksum", Problems: []error{fmt.Errorf("key %.64q: %w", k.ID, err)}}
			}
			before[k.ID] = r
		}
		return nil
	})
	if p := (*panicError)(nil); errors.As(err, &p) {
		err = &DamageError{Reason: "page", Problems: []error{err}}
	}
	return before, err
}

// notBehind returns ErrDamaged for a file that is behind the state: bbolt goes
// on from its other meta page, without a word, where one was damaged. It is for
// those who keep the state from changing.
func (db *DB) notBehind(tx *bbolt.Tx) error { return notBefore(tx, db.Position()) }

func notBefore(tx *bbolt.Tx, was Position) error {
	if at, err := storedPosition(tx); err != nil || at.Before(was) {
		return errors.Join(behind(at, was), err)
	}
	return nil
}

// setAhead tells readers what the state has of keys that the file is about to
// have newer; nil says that they are of one mind again.
func (db *DB) setAhead(before map[string]*key.Record) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.ahead = before
}

// Facts calls f with the facts of each key at the newest revision, as its current
// secret has them, in no order, until f returns false. They are read from
// memory, and valid until f returns.
func (db *DB) Facts(f func(*key.Facts) bool) {
	v := db.Now()
	var facts key.Facts
	v.keys.rows.Each(func(row []byte) bool {
		v.keys.facts(row, &facts)
		return !facts.Until.IsZero() || f(&facts)
	})
}

// Directory returns all tenants and principals of one revision, in order of name.
func (db *DB) Directory() ([]*directory.Tenant, []*directory.Principal, Position) {
	v := db.Now()
	tenants := make([]*directory.Tenant, 0, v.tenants.Len())
	v.tenants.Each(func(packed []byte) bool {
		t := directory.UnpackTenant(packed)
		tenants = append(tenants, &t)
		return true
	})
	principals := make([]*directory.Principal, 0, v.principals.Len())
	v.principals.Each(func(packed []byte) bool {
		principals = append(principals, directory.UnpackPerson(packed).Principal())
		return true
	})
	slices.SortFunc(tenants, func(a, b *directory.Tenant) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(principals, func(a, b *directory.Principal) int { return strings.Compare(a.ID, b.ID) })
	return tenants, principals, v.position
}

// Documents returns the policy documents of one revision, by name. The map is
// the caller's, the documents are the store's.
func (db *DB) Documents() (map[string][]byte, Position) {
	v := db.Now()
	return maps.Clone(v.documents), v.position
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
	if found && !db.Now().mayReveal(id, token) {
		token, found = key.Token{}, false
	}
	return token, found, err
}

// Log returns up to limit entries that follow a revision, oldest first, and none
// when there are none yet or the limit is not positive. It returns ErrTrimmed
// where the first of them isn't kept any more: see Options.LogEntries.
func (db *DB) Log(after uint64, limit int) ([]*logv1.Entry, error) {
	var entries []*logv1.Entry
	err := db.readKnown(func(tx *bbolt.Tx, at Position) error {
		newest := at.Revision // the file may be further than what views see
		if after >= newest {
			return nil
		}
		floor, err := storedFloor(tx)
		if err != nil {
			return err
		}
		if after+1 < floor {
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
	return db.readKnown(func(tx *bbolt.Tx, _ Position) error { return f(tx) })
}

// readKnown is readFile, and tells f where the state was before the file was
// looked at: the file, unless it is damaged, is there or further.
func (db *DB) readKnown(f func(*bbolt.Tx, Position) error) error {
	db.file.RLock()
	defer db.file.RUnlock()
	at := db.Position()
	least := db.size.Load()
	if size, err := sameFile(db.folder.file(), db.opened); err == nil {
		if err := db.askable(size, least); err != nil {
			return err
		}
	}
	err := contain(func() error { return db.bolt.View(func(tx *bbolt.Tx) error { return f(tx, at) }) })
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		return ErrClosed
	}
	return err
}
