package storage

import (
	"context"
	"errors"
	"fmt"
	"os"

	"go.etcd.io/bbolt"

	"github.com/latchkey/latchkey/internal/disk"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	"github.com/latchkey/latchkey/storage/watermark"
)

// A snapshot takes the store's place in these steps. A crash leaves:
//
//  1. The snapshot is finished: synced, and read back. → A leftover, which the
//     next Open removes.
//  2. Its one log entry is written anew, to say that it supersedes the position
//     of the watermark's last mark (at revision 0, which has none, meta says so),
//     and there is room for its own mark. → Likewise.
//  3. The former file, where it is damaged, gets a second name, to be kept in
//     quarantine. → A store with two names, of which the next Open removes one.
//  4. The snapshot is renamed to be the store. → The former store, or, with the
//     watermark of the former one, a store that supersedes just its position: so
//     the next Open knows that this was on purpose, and catches the watermark up.
//  5. The folder is synced. → The new store, as by 4.
//  6. The mark is appended; or, where the watermark can't be gone on from (it is
//     gone, or further, and the snapshot older on purpose), another is made in
//     its place. → The new store.
//  7. Memory is changed, and the former file closed.
//
// Until the last step all that is read, memory and file, is the former store.
// What fails from the fourth step on is finished by whoever writes next.

// exchange is a file on its way to being the store.
type exchange struct {
	image  *image
	bolt   *bbolt.DB
	opened os.FileInfo
	log    logExtent
	size   int64
	mark   *logv1.Mark
	anew   bool // whether the watermark begins anew with the mark
}

// Swap makes the finished snapshot the store: durable on return, and seen by
// every later View; Changed has been raised. Readers of records wait while the
// file is opened. It heals whatever was wrong with the former file, which is kept
// in quarantine where it was damaged.
//
// Errors are ErrRollback for a snapshot that is before the store's Floor, unless
// an older one is wanted, and then what is known to be missing from it is given
// up; ErrDiverged for one that is at the same revision and has other objects;
// ErrDisk, after which it can be tried again; ErrFailed where the file is in its
// place and it isn't known whether for good: the next Apply, Swap or Mend goes on
// from there; and those of waiting for other writers.
func (s *Staged) Swap(ctx context.Context, older bool) (Position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, err := s.swap(ctx, older)
	if err != nil {
		return at, fmt.Errorf("taking over the snapshot of %s: %w", s.at, err)
	}
	return at, nil
}

func (s *Staged) swap(ctx context.Context, older bool) (Position, error) {
	switch {
	case s.over != nil && !errors.Is(s.over, errTaken):
		return s.db.Position(), s.over
	case s.over == nil && s.image == nil:
		return s.db.Position(), errors.New("it isn't finished")
	}
	if err := s.db.lock(ctx); err != nil {
		return Position{}, err
	}
	defer s.db.unlock()
	if s.over != nil {
		return s.db.Position(), s.db.resolve()
	}
	if floor := s.db.Floor(); !older && s.at != floor {
		switch {
		case s.at.Before(floor):
			return s.db.Position(), fmt.Errorf("%w: the store was at %s", ErrRollback, floor)
		case s.at.Epoch == floor.Epoch && s.at.Revision == floor.Revision:
			return s.db.Position(), fmt.Errorf("%w: the store was at %s", ErrDiverged, floor)
		}
	}
	x, err := s.begin()
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrDisk, err)
		s.db.setTrouble(err)
		return s.db.Position(), err
	}
	// The file isn't this one's any more.
	s.over, s.image = errTaken, nil
	s.db.forget()
	s.db.pending = &pending{exchange: x, cause: fmt.Errorf("%w: the snapshot is in its place, and the next write will go on from there", ErrFailed)}
	if err := s.db.settle(x); err != nil {
		s.db.setTrouble(err)
		return s.db.Position(), err
	}
	s.db.setTrouble(nil)
	return s.db.Position(), nil
}

var errTaken = errors.New("it was taken over")

// begin does the steps up to the rename. After an error the store is as it was.
func (s *Staged) begin() (_ *exchange, err error) {
	db, path := s.db, s.db.folder.staged()
	if _, err := sameFile(path, s.opened); err != nil {
		return nil, err
	}
	x := &exchange{image: s.image, opened: s.opened, mark: newMark(s.entry(nil))}
	if x.bolt, err = openBolt(path, db.options.LockTimeout); err != nil {
		return nil, err
	}
	defer func() {
		// After a panic bbolt's locks may be held.
		if p := (*panicError)(nil); err != nil && !errors.As(err, &p) {
			err = errors.Join(err, x.bolt.Close())
		}
	}()
	x.log = logExtent{floor: s.image.floor, size: s.image.logSize}
	if err := contain(func() error { return s.supersede(x, db) }); err != nil {
		return nil, err
	}
	if err := x.reserve(db, s.at); err != nil {
		return nil, err
	}
	db.keepDamaged()
	if err := os.Rename(path, db.folder.file()); err != nil {
		return nil, err
	}
	return x, nil
}

// supersede tells the file what was before it.
func (s *Staged) supersede(x *exchange, db *DB) error {
	if db.marks != nil {
		err := x.bolt.Update(func(tx *bbolt.Tx) (err error) {
			if s.at.Revision == 0 {
				return writeBefore(tx, s.at, db.marked)
			}
			x.log, err = s.log(tx, db.marked.toProto())
			return err
		})
		if err != nil {
			return err
		}
	}
	// What a commit takes is known once it is done.
	return x.bolt.View(func(tx *bbolt.Tx) error { x.size = tx.Size(); return nil })
}

// reserve sees to it that the mark can be written.
func (x *exchange) reserve(db *DB, at Position) error {
	switch {
	case db.marks == nil || db.marks.Moved() != nil || at != db.marked && !db.marked.Before(at):
		x.anew = true
	case at == db.marked:
		x.mark = nil // the watermark has it
	default:
		return db.marks.Reserve(x.mark)
	}
	return nil
}

// keepDamaged gives the store's file, where it is known to be damaged, a second
// name. What was moved away isn't there to be kept, and where there is no room
// for a copy, to have a whole store again comes first.
func (db *DB) keepDamaged() {
	reason := ""
	var d *DamageError
	least := db.size.Load()
	switch size, err := sameFile(db.folder.file(), db.opened); {
	case err != nil:
		return
	case errors.As(db.damage, &d):
		reason = d.Reason
	case db.broken != nil:
		reason = "page"
	case errors.As(db.askable(size, least), &d):
		reason = d.Reason
	default:
		return
	}
	if path, err := db.folder.keep(damagedInfix, reason, db.options.Now()); err == nil {
		_ = db.folder.keepOne(path) // or the next one does
	}
}

// settle does the steps after the rename, as often as it takes.
func (db *DB) settle(x *exchange) error {
	if err := x.endure(db); err != nil {
		return fmt.Errorf("%w: %w", db.pending.cause, err)
	}
	db.take(x)
	return nil
}

func (x *exchange) endure(db *DB) error {
	if _, err := sameFile(db.folder.file(), x.opened); err != nil {
		return err
	}
	if err := disk.SyncFolder(db.folder.dir); err != nil {
		return err
	}
	if x.mark == nil {
		return nil
	}
	at := positionFromProto(x.mark.GetPosition())
	// It may have been moved since.
	if x.anew || db.marks.Moved() != nil {
		marks, err := watermark.Create(db.folder.watermark(), x.mark)
		if err != nil {
			return err
		}
		if db.marks != nil {
			_ = db.marks.Close() // has no name any more
		}
		db.marks = marks
	} else if err := addMark(db.marks, x.mark); err != nil {
		return err
	}
	db.marked, x.mark = at, nil
	return nil
}

// take makes the file the store.
func (db *DB) take(x *exchange) {
	next := x.image.view
	former, broken := db.bolt, db.broken
	db.mu.Lock()
	db.file.Lock()
	db.bolt, db.opened = x.bolt, x.opened
	db.size.Store(x.size)
	db.log, db.shapes = x.log, x.image.shapes
	db.pending, db.damage, db.broken, db.ahead = nil, nil, nil, nil
	db.known.Store(&next.position)
	db.origin.Store(&x.image.origin)
	db.state.Store(next)
	close(*db.changed.Swap(new(make(chan struct{}))))
	db.file.Unlock()
	db.mu.Unlock()
	if broken == nil {
		// Nobody reads it any more, and nothing in it counts.
		_ = contain(former.Close)
	}
}

// forget lets go of a file that had the store's name and didn't become the store.
func (db *DB) forget() {
	if p := db.pending; p != nil && p.exchange != nil {
		_ = contain(p.exchange.bolt.Close) // has no name any more
	}
	db.pending = nil
}
