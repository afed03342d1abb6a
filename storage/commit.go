package storage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/latchkey/latchkey/key"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

// Commit makes a change, all of it or none, and returns the position at which
// it is. Once it has returned nil the change is on disk, every later View sees
// it and Changed has been raised. A change of nothing is no revision.
//
// It waits for other writers until the context ends; from then on it can't be
// broken off. Whatever the error, nothing has changed, except with ErrFailed,
// where it isn't known. Others are key.ErrConflict where an object or the
// position isn't what the change was based on, key.ErrDuplicate for a digest
// that exists already or comes twice, key.ErrRevoked for a key that would come
// back, ErrClosed, the error of Options.Compile, what is wrong with an object,
// and those of the disk.
func (db *DB) Commit(ctx context.Context, c Change) (Position, error) {
	if err := db.lock(ctx); err != nil {
		return Position{}, fmt.Errorf("writing to the store: %w", err)
	}
	defer db.unlock()
	at := db.state.position
	if c.Based != (Position{}) && c.Based != at {
		return Position{}, fmt.Errorf("the store is at revision %d: %w", at.Revision, key.ErrConflict)
	}
	puts, err := c.puts(&db.state, at.Revision+1)
	if err != nil {
		return Position{}, err
	}
	d := &delta{}
	for _, p := range puts {
		if err := d.add(p); err != nil {
			return Position{}, err
		}
	}
	if err := d.checkReveal(c.Reveal); err != nil {
		return Position{}, err
	}
	if len(puts) == 0 {
		return at, nil
	}
	if err := db.state.admit(d); err != nil {
		return Position{}, err
	}
	policies := db.state.policies
	if d.policies != nil {
		if policies, err = db.compile(d.documents(db.state.documents)); err != nil {
			return Position{}, err
		}
	}
	entry := &logv1.Entry{
		Revision: at.Revision + 1,
		At:       timestamppb.New(db.now()),
		Operator: c.Operator, Acting: c.Acting, Action: c.Action, Note: c.Note,
		Puts: puts,
	}
	if err := db.record(entry, d, c.Reveal); err != nil {
		return Position{}, fmt.Errorf("writing revision %d to the store: %w", entry.GetRevision(), err)
	}
	return db.publish(entry, d, policies), nil
}

// compile asks Options.Compile.
func (db *DB) compile(documents map[string][]byte) (policies any, err error) {
	if db.options.Compile == nil {
		return nil, nil
	}
	defer func() {
		if p := recover(); p != nil {
			policies, err = nil, fmt.Errorf("compiling the policies: panic: %v", p)
		}
	}()
	policies, err = db.options.Compile(documents)
	if err != nil {
		return nil, fmt.Errorf("compiling the policies: %w", err)
	}
	return policies, nil
}

// now is the time for a log entry: never before that of the one before it.
func (db *DB) now() time.Time {
	now := db.options.Now().UTC()
	if now.Before(db.state.latest) {
		return db.state.latest
	}
	return now
}

// record writes an entry and what it says to the file.
func (db *DB) record(entry *logv1.Entry, d *delta, reveal map[string]key.Token) error {
	tx, err := db.bolt.Begin(true)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	if err := writeEntry(tx, entry); err != nil {
		return err
	}
	if err := writeDigests(tx, d, reveal); err != nil {
		return err
	}
	// A panic in bbolt leaves the store failed, too.
	db.failed = ErrFailed
	if err := tx.Commit(); err != nil {
		return db.settle(entry.GetRevision(), err)
	}
	db.failed = nil
	return nil
}

// settle finds out whether a commit that failed left the file as it was, as a
// full disk does. A page that was written but maybe not synced is not that:
// then only a new Open can tell, and until then nothing is written on top.
func (db *DB) settle(revision uint64, cause error) error {
	var stored uint64
	err := db.bolt.View(func(tx *bbolt.Tx) (err error) {
		stored, err = metaNumber(tx, metaRevision)
		return err
	})
	if err == nil && stored == revision-1 {
		db.failed = nil
		return cause
	}
	db.failed = fmt.Errorf("%w: revision %d: %w", ErrFailed, revision, cause)
	return errors.Join(db.failed, err)
}

// writeEntry writes the objects of an entry, the entry, and its revision.
func writeEntry(tx *bbolt.Tx, entry *logv1.Entry) error {
	for _, p := range entry.GetPuts() {
		bucket, name := tx.Bucket(bucketOf(p.GetKind())), []byte(p.GetName())
		var err error
		if p.GetRemoved() {
			err = bucket.Delete(name)
		} else {
			err = bucket.Put(name, p.GetValue())
		}
		if err != nil {
			return fmt.Errorf("%s: %w", object{p.GetKind(), p.GetName()}, err)
		}
	}
	value, err := encoding.Marshal(entry)
	if err != nil {
		return fmt.Errorf("log entry: %w", err)
	}
	log := tx.Bucket(bucketLog)
	log.FillPercent = 1 // it is only ever added to at its end
	if err := log.Put(number(entry.GetRevision()), value); err != nil {
		return fmt.Errorf("log entry: %w", err)
	}
	return tx.Bucket(bucketMeta).Put(metaRevision, number(entry.GetRevision()))
}

// writeDigests writes what hangs on the keys of a delta: their digests, and
// the tokens to keep.
func writeDigests(tx *bbolt.Tx, d *delta, reveal map[string]key.Token) error {
	digests, tokens := tx.Bucket(bucketDigests), tx.Bucket(bucketReveal)
	for _, r := range d.keys {
		id := []byte(r.ID)
		for i := range r.Secrets {
			if err := digests.Put(r.Secrets[i].Digest[:], id); err != nil {
				return fmt.Errorf("digest of key %.64q: %w", r.ID, err)
			}
		}
		var err error
		if token, ok := reveal[r.ID]; ok {
			err = tokens.Put(id, []byte(token.Reveal()))
		} else if kept := tokens.Get(id); kept != nil && !mayKeep(r, key.NewToken(string(kept))) {
			err = tokens.Delete(id)
		}
		if err != nil {
			return fmt.Errorf("token of key %.64q: %w", r.ID, err)
		}
	}
	return nil
}

// publish makes a recorded entry visible.
func (db *DB) publish(entry *logv1.Entry, d *delta, policies any) Position {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.state.apply(d)
	db.state.policies = policies
	db.state.position.Revision = entry.GetRevision()
	db.state.latest = entry.GetAt().AsTime()
	close(db.changed)
	db.changed = make(chan struct{})
	return db.state.position
}
