package storage

import (
	"context"
	"errors"
	"fmt"
	"os"

	"go.etcd.io/bbolt"

	"github.com/latchkey/latchkey/internal/disk"
	"github.com/latchkey/latchkey/storage/boltguard"
)

// pending is a write of which it isn't known yet whether it is on disk. No
// other is begun before that is known.
type pending struct {
	write *write
	doubt bool  // a sync failed: what can be read may be in memory alone
	cause error // why

	exchange *exchange // in place of a write: a file that has the store's name, and isn't the store yet
}

// refuse finds out what a failed transaction left. As a rule that is nothing:
// bbolt makes a transaction visible by its last page.
func (db *DB) refuse(w *write, cause error) error {
	if errors.Is(cause, ErrDiverged) {
		db.setAhead(nil)
		return cause
	}
	if errors.Is(cause, ErrDamaged) {
		db.setAhead(nil)
		// Other objects can still be written: a revocation must not wait for
		// the repair, and the watermark remembers it.
		db.damage = cause
		return cause
	}
	var p *panicError
	if errors.As(cause, &p) {
		// bbolt's locks may be held: it isn't asked anything again.
		db.broken = fmt.Errorf("%w: %w: start the process again", ErrFailed, cause)
		return db.broken
	}
	var at Position
	err := contain(func() error {
		return db.bolt.View(func(tx *bbolt.Tx) (err error) {
			at, err = storedPosition(tx)
			return err
		})
	})
	if err == nil && at == db.Position() {
		db.setAhead(nil)
		return fmt.Errorf("%w: %w", ErrDisk, cause)
	}
	return db.hold(&pending{write: w, doubt: true}, errors.Join(cause, err))
}

// hold keeps a write until it is known what became of it.
func (db *DB) hold(p *pending, cause error) error {
	p.cause = fmt.Errorf("%w: revision %d may be written or not, which the next write will find out: %w", ErrFailed, p.write.entry.GetRevision(), cause)
	db.pending = p
	return p.cause
}

// resolve finds out what became of a pending write, and finishes it where it
// is in the file.
func (db *DB) resolve() error {
	p := db.pending
	if p != nil && p.exchange != nil {
		return db.settle(p.exchange)
	}
	if db.broken != nil {
		return db.broken
	}
	if p == nil {
		return nil
	}
	if p.doubt {
		// After a sync that failed, the kernel may call pages clean that never
		// reached the disk, and another sync says nothing about them. Only what
		// is written anew is known to be there.
		if err := db.rewrite(); err != nil {
			return fmt.Errorf("%w; writing the file anew: %w", p.cause, err)
		}
		p.doubt = false
	}
	var at Position
	err := db.readFile(func(tx *bbolt.Tx) (err error) {
		at, err = storedPosition(tx)
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("%w; reading it again: %w", p.cause, err)
	case at == db.Position():
		db.pending = nil
		db.setAhead(nil)
		return nil
	case at != p.write.position():
		return fmt.Errorf("%w; the file is at %s", p.cause, at)
	}
	if p.write.mark == nil {
		return fmt.Errorf("%w; it has no mark", p.cause)
	}
	if err := errors.Join(db.inPlace(), db.reserve(p.write)); err != nil {
		return fmt.Errorf("%w; the watermark: %w", p.cause, err)
	}
	if err := db.appendMark(p.write); err != nil {
		return fmt.Errorf("%w; the watermark: %w", p.cause, err)
	}
	db.pending = nil
	db.publish(p.write)
	return nil
}

// rewrite writes the whole file anew beside the old one, sees that it is whole,
// and puts it in its place.
func (db *DB) rewrite() error {
	if err := db.inPlace(); err != nil {
		return err
	}
	db.file.Lock()
	defer db.file.Unlock()
	temp := db.folder.file() + newSuffix
	view := func(f func(*bbolt.Tx) error) error { return contain(func() error { return db.bolt.View(f) }) }
	if err := copyTransaction(context.Background(), view, temp); err != nil {
		return err
	}
	bolt, opened, err := db.openWhole(temp)
	if err != nil {
		return errors.Join(err, removeIfThere(temp))
	}
	if err := os.Rename(temp, db.folder.file()); err != nil {
		return errors.Join(err, bolt.Close(), removeIfThere(temp))
	}
	// From here on the new file is the store's, also where what follows fails.
	former := db.bolt
	db.bolt, db.opened = bolt, opened
	return errors.Join(former.Close(), disk.SyncFolder(db.folder.dir))
}

// writeAgain writes the file's pages once more, as they are, and syncs. A process
// that died before its sync, or after one that failed, leaves pages that can be
// read and may be in memory alone; of a sync that failed, the next one is silent.
func (db *DB) writeAgain() (err error) {
	f, err := boltguard.OpenPrivate(db.folder.file(), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var size int64
	if err := db.readFile(func(tx *bbolt.Tx) error { size = tx.Size(); return nil }); err != nil {
		return err
	}
	b := make([]byte, min(size, 1<<20))
	for at := int64(0); at < size; at += int64(len(b)) {
		b = b[:min(int64(len(b)), size-at)]
		if _, err := f.ReadAt(b, at); err != nil {
			return err
		}
		if _, err := f.WriteAt(b, at); err != nil {
			return err
		}
	}
	return f.Sync()
}

// openWhole opens a file once it is known to be whole.
func (db *DB) openWhole(path string) (*bbolt.DB, os.FileInfo, error) {
	if _, err := readStore(path); err != nil {
		return nil, nil, err
	}
	opened, err := os.Lstat(path)
	if err != nil {
		return nil, nil, err
	}
	bolt, err := openBolt(path, db.options.LockTimeout)
	return bolt, opened, err
}

// Mend returns what is wrong with the store's files as far as it can't be put
// right, and nil for a store that can be written to. It finishes a write that
// failed half-way, and sees whether a disk that refused takes writes again. It
// waits for a writer until the context ends. Views don't need the files: they
// go on whatever Mend says.
func (db *DB) Mend(ctx context.Context) error {
	if err := db.lock(ctx); err != nil {
		return fmt.Errorf("looking after the store: %w", err)
	}
	defer db.unlock()
	err := db.resolve()
	if err == nil {
		err = db.inPlace()
	}
	if err == nil {
		err = db.damage
	}
	if err == nil && db.Trouble() != nil {
		err = db.tryDisk()
	}
	db.trouble.Store(&err)
	return err
}

// Trouble returns what the last write, or Mend since then, found wrong, and nil
// while writes succeed. It waits for nothing.
func (db *DB) Trouble() error { return *db.trouble.Load() }

// Failures returns a channel that has why a write failed, such as by a full disk:
// the first since it was last received from, so that none that another one makes
// good goes by unseen. Who looks after the store receives from it.
func (db *DB) Failures() <-chan error { return db.failures }

// setTrouble notes what a write found wrong, or nil.
func (db *DB) setTrouble(err error) {
	db.trouble.Store(&err)
	if err == nil {
		return
	}
	select {
	case db.failures <- err:
	default:
	}
}

// enoughRoom is what a disk must take before it is called good again: more
// than an ordinary write needs.
const enoughRoom = 1 << 20

// tryDisk writes and syncs a file beside the store.
func (db *DB) tryDisk() error {
	path := db.folder.file() + newSuffix
	f, err := boltguard.OpenPrivate(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDisk, err)
	}
	_, err = f.Write(make([]byte, enoughRoom))
	if err := errors.Join(err, f.Sync(), f.Close(), os.Remove(path)); err != nil {
		return fmt.Errorf("%w: %w", ErrDisk, err)
	}
	return nil
}
