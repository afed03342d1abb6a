package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/latchkey/latchkey/key"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	"github.com/latchkey/latchkey/storage/boltfile"
)

// Commit makes a change, all of it or none, and returns the position at which
// it is. Once it has returned nil the change is on disk, the watermark knows of
// it, every later View sees it and Changed has been raised. A change of nothing
// is no revision.
//
// It waits for other writers until the context ends; from then on it can't be
// broken off. Whatever the error, nothing has changed, except with ErrFailed,
// where it isn't known. Others are ErrReplica, key.ErrConflict where an object or the
// position isn't what the change was based on, key.ErrDuplicate for a digest
// that exists already or comes twice, key.ErrRevoked for a key that would come
// back, ErrClosed, the error of Options.Compile, what is wrong with an object,
// and those of the disk: ErrDisk, ErrMoved, ErrDamaged.
func (db *DB) Commit(ctx context.Context, c Change) (Position, error) {
	if db.options.Replica {
		return Position{}, fmt.Errorf("writing to the store: %w", ErrReplica)
	}
	if err := db.lock(ctx); err != nil {
		return Position{}, fmt.Errorf("writing to the store: %w", err)
	}
	defer db.unlock()
	if err := db.resolve(); err != nil {
		return Position{}, err
	}
	return db.carryOut(db.prepare(c))
}

// carryOut makes what was prepared durable and visible, if it could be prepared.
func (db *DB) carryOut(w *write, err error) (Position, error) {
	if errors.Is(err, ErrDamaged) {
		// Other objects can still be written.
		db.damage = err
		db.setTrouble(err)
	}
	if err != nil || w == nil {
		return db.Position(), err
	}
	if err := db.record(w); err != nil {
		err = fmt.Errorf("writing revision %d to the store: %w", w.entry.GetRevision(), err)
		if !errors.Is(err, ErrDiverged) { // of which the disk knows nothing
			db.setTrouble(err)
		}
		return Position{}, err
	}
	db.setTrouble(db.damage)
	return db.publish(w), nil
}

// revision is a log entry and what it does.
type revision struct {
	entry *logv1.Entry
	delta *delta
}

// write is one revision or several that were accepted, on their way to the disk.
type write struct {
	revisions []revision
	told      bool                   // whether their digests are the hub's, and to be compared
	entry     *logv1.Entry           // the newest
	delta     *delta                 // of all of them together
	before    map[string]*key.Record // the keys of the delta as they were, by id
	reveal    map[string]key.Token
	policies  any
	unmarked  bool        // whether the watermark is further, and gets no mark
	mark      *logv1.Mark // once the entry has its digest
	log       logExtent   // once it is written
	size      int64       // of the file, once it is written
}

// only makes it a write of one revision.
func (w *write) only(e *logv1.Entry) *write {
	w.entry, w.revisions = e, []revision{{e, w.delta}}
	return w
}

func (w *write) position() Position {
	return position(w.entry.GetEpoch(), w.entry.GetRevision(), w.entry.GetDigest())
}

// prepare accepts a change, or says why not; nil is a change of nothing.
func (db *DB) prepare(c Change) (*write, error) {
	state := db.state.Load()
	at := state.position
	if c.Based != (Position{}) && c.Based != at {
		return nil, fmt.Errorf("the store is at revision %d: %w", at.Revision, key.ErrConflict)
	}
	before, err := db.stored(c.Keys)
	if err != nil {
		return nil, err
	}
	puts, err := c.puts(state, before, at.Revision+1)
	if err != nil {
		return nil, err
	}
	d := &delta{}
	for _, p := range puts {
		if err := d.add(p); err != nil {
			return nil, err
		}
	}
	if err := d.checkReveal(c.Reveal); err != nil {
		return nil, err
	}
	if len(puts) == 0 {
		return nil, nil
	}
	if err := state.admit(d, before); err != nil {
		return nil, err
	}
	w := (&write{delta: d, before: before, reveal: c.Reveal, policies: state.policies}).only(newEntry(&c, at, db.now(), puts))
	if d.policies != nil {
		if w.policies, err = db.compile(d.documents(state.documents)); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// newEntry returns the entry that follows a position, without its digest.
func newEntry(c *Change, at Position, now time.Time, puts []*logv1.Put) *logv1.Entry {
	return &logv1.Entry{
		Epoch: at.Epoch, Revision: at.Revision + 1, At: timestamppb.New(now),
		Operator: c.Operator, Acting: c.Acting, Action: c.Action, Note: c.Note,
		Puts: puts,
	}
}

// compile asks Options.Compile.
func (db *DB) compile(documents map[string][]byte) (policies any, err error) {
	if db.options.Compile == nil {
		return nil, nil
	}
	defer func() {
		if p := recover(); p != nil {
			policies, err = nil, fmt.Errorf("%w: panic: %v", ErrPolicies, p)
		}
	}()
	policies, err = db.options.Compile(documents)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPolicies, err)
	}
	return policies, nil
}

// now is the time for a log entry: never before that of the one before it.
func (db *DB) now() time.Time {
	now := db.options.Now().UTC()
	if latest := db.state.Load().latest; now.Before(latest) {
		return latest
	}
	return now
}

// record makes a write durable: room in the watermark, then the file, then the
// watermark. A crash in between leaves the file one ahead, which is how Open
// knows it from a file that was put back.
func (db *DB) record(w *write) error {
	if err := db.inPlace(); err != nil {
		return err
	}
	if !w.told {
		w.entry.Digest = make([]byte, len(Digest{})) // as long as it will be
	}
	if err := db.reserve(w); err != nil {
		return fmt.Errorf("%w: the watermark: %w", ErrDisk, err)
	}
	db.setAhead(w.before)
	if err := contain(func() error { return db.writeFile(w) }); err != nil {
		return db.refuse(w, err)
	}
	return db.confirm(w)
}

// writeFile is the transaction of a write.
func (db *DB) writeFile(w *write) error {
	tx, err := db.bolt.Begin(true)
	if err != nil {
		return err
	}
	// A meta page that was damaged since makes bbolt go on from the other one,
	// without a word: from the revision before.
	if at, err := storedPosition(tx); err != nil || at != db.Position() {
		return errors.Join(behind(at, db.Position()), err, tx.Rollback())
	}
	err = contain(func() error {
		w.log, err = writeRevisions(tx, w, db.Position(), db.log.limit(&db.options))
		return err
	})
	if p := (*panicError)(nil); errors.As(err, &p) {
		// Nothing was written yet, so that other writes can go on.
		err = &DamageError{Reason: "page", Problems: []error{err}}
	}
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	w.mark = db.markOf(w)
	if err := tx.Commit(); err != nil {
		return err
	}
	// How many pages it takes is known by now only: they are handed out while it
	// is committed.
	return db.bolt.View(func(tx *bbolt.Tx) error { w.size = tx.Size(); return nil })
}

// markOf is what the watermark remembers of a write. A replica's remembers how
// far it was, and no more: it is the hub that goes back and withdraws.
func (db *DB) markOf(w *write) *logv1.Mark {
	if db.options.Replica {
		return newMark(w.entry)
	}
	return markOf(w.entry, func(id string) bool { return w.before[id] != nil })
}

// confirm writes the mark of a write that is in the file.
func (db *DB) confirm(w *write) error {
	err := db.inPlace()
	if err == nil {
		err = db.appendMark(w)
	}
	if err != nil {
		return db.hold(&pending{write: w}, err)
	}
	return nil
}

// publish makes a recorded entry visible.
func (db *DB) publish(w *write) Position {
	db.log = w.log
	db.size.Store(w.size)
	next := db.state.Load().with(w.delta, w.before, db.shapes)
	next.policies = w.policies
	next.position = w.position()
	next.latest = w.entry.GetAt().AsTime()
	db.mu.Lock()
	defer db.mu.Unlock()
	db.state.Store(next)
	db.ahead = nil
	close(*db.changed.Swap(new(make(chan struct{}))))
	return next.position
}

// inPlace returns ErrMoved unless the names in the folder are those of the open
// files: what is written to a file without a name is lost, and no error tells.
// It returns ErrDamaged for a file of which bbolt must not be asked: see askable.
func (db *DB) inPlace() error {
	least := db.size.Load()
	size, err := sameFile(db.folder.file(), db.opened)
	if err == nil {
		err = db.askable(size, least)
	}
	if db.marks == nil {
		return err
	}
	if moved := db.marks.Moved(); moved != nil {
		err = errors.Join(err, fmt.Errorf("%w: %w", ErrMoved, moved))
	}
	return err
}

// askable returns ErrDamaged for a file in its place that bbolt must not be asked about. bbolt looks at its meta pages
// with its locks held, and a fault or a panic there leaves them so: whoever asks next, or closes it, waits for ever. So
// the file must be as long as it was, and have a meta page that can be read. least is how long it was before it was looked
// at: a write may have made it longer since.
func (db *DB) askable(size, least int64) error {
	if size < least {
		return &DamageError{Reason: "truncated", Problems: []error{
			fmt.Errorf("%s was cut off at %d bytes under the running process: restore a backup (latchkey db restore)", db.folder.file(), size),
		}}
	}
	f, err := os.Open(db.folder.file())
	if err != nil {
		return nil // its rights were taken away: bbolt has it open, and goes on
	}
	defer f.Close()
	if err := boltfile.CheckMetas(f, size); err != nil {
		return &DamageError{Reason: "meta", Problems: []error{
			fmt.Errorf("%s was damaged under the running process: %w: restore a backup (latchkey db restore)", db.folder.file(), err),
		}}
	}
	return nil
}

// behind is an ErrDamaged for a file that isn't where it was.
func behind(is, was Position) error {
	return &DamageError{Reason: "meta", Problems: []error{
		fmt.Errorf("the file was damaged under the running process: it is at %s, and was at %s: restore a backup (latchkey db restore)", is, was),
	}}
}
