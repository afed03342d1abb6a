package storage

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/latchkey/latchkey/storage/boltguard"
	"github.com/latchkey/latchkey/storage/watermark"
)

// load reads, judges and opens what is in the folder; an empty one is given a
// new store.
func (db *DB) load() error {
	marks, err := readMarks(db.folder.watermark())
	if err != nil {
		return err
	}
	if db.options.Replica {
		return db.loadReplica(marks)
	}
	img, err := db.readOrCreate(marks)
	if err != nil {
		return err
	}
	if img.replica {
		return fmt.Errorf("%s: %w: it is a replica's, which follows a hub: name another data folder; to begin a hub from it, restore it into one: latchkey db restore %s --data FOLDER",
			db.folder.file(), ErrRole, db.folder.file())
	}
	verdict := judge(img, marks)
	if verdict.err != nil && !db.options.AcceptRollback {
		return rollbackError(db.folder.file(), marks, verdict.err)
	}
	if err := db.openFile(img); err != nil {
		return err
	}
	if verdict.err != nil {
		return db.acceptRollback(marks)
	}
	return db.openMarks(img, marks, verdict.caughtUp)
}

// openFile begins with the file of an image.
func (db *DB) openFile(img *image) (err error) {
	if img.view.policies, err = db.compile(img.view.documents); err != nil {
		return fmt.Errorf("%s: %w: run the version that accepted them, and correct or remove the policy there", db.folder.file(), err)
	}
	if db.bolt, err = openBolt(db.folder.file(), db.options.LockTimeout); err != nil {
		return err
	}
	if db.opened, err = os.Lstat(db.folder.file()); err != nil {
		return err
	}
	// From the first write on, it is known whether the file was cut off.
	if err := db.readFile(func(tx *bbolt.Tx) error { db.size.Store(tx.Size()); return nil }); err != nil {
		return err
	}
	db.begin(img.view, img.shapes)
	db.origin.Store(&img.origin)
	db.log = logExtent{floor: img.floor, size: img.logSize}
	return nil
}

// readMarks returns what the watermark knows, and nil if there is none.
func readMarks(path string) (*watermark.Contents, error) {
	marks, err := watermark.Read(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the watermark: %w", err)
	}
	return marks, nil
}

// readOrCreate returns the image of the store's file.
func (db *DB) readOrCreate(marks *watermark.Contents) (*image, error) {
	img, err := readStore(db.folder.file())
	var old *formatError
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := db.folder.mayBegin(marks); err != nil {
			return nil, err
		}
		if err := db.create(); err != nil {
			return nil, fmt.Errorf("making the store in %s: %w", db.folder.dir, err)
		}
		return readStore(db.folder.file())
	case errors.As(err, &old) && old.format < formatVersion && old.format > 0:
		if marks != nil {
			return nil, fmt.Errorf("%s: %w: its format is %d, of a time before the watermark beside it: restore a backup (latchkey db restore)",
				db.folder.file(), ErrRollback, old.format)
		}
		if err := db.folder.upgrade(old.format, db.options); err != nil {
			return nil, fmt.Errorf("upgrading %s from format %d: %w\n  it is as it was: correct what is named here and start again, or restore a backup: latchkey db restore BACKUP --data %s",
				db.folder.file(), old.format, err, db.folder.dir)
		}
		return readStore(db.folder.file())
	case errors.Is(err, ErrDamaged):
		return nil, db.folder.quarantine(err, marks, db.options.Now())
	case err != nil:
		return nil, fmt.Errorf("%s: %w", db.folder.file(), err)
	}
	return img, nil
}

// readStore reads the store's file for Open.
func readStore(path string) (*image, error) { return readPrivate(path, reading{}) }

// readWhole reads a store's file with all its objects, decoded.
func readWhole(path string) (*image, error) { return readPrivate(path, reading{objects: true}) }

func readPrivate(path string, how reading) (*image, error) {
	f, err := boltguard.OpenPrivate(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	img, err := readImage(readAhead(f, info.Size()), info.Size(), how)
	if err == nil {
		img.path = path
	}
	return img, err
}

// mayBegin returns why no new store may be made in the folder: there was one.
func (f *folder) mayBegin(marks *watermark.Contents) error {
	names, err := f.quarantined()
	if err != nil {
		return err
	}
	const remedy = "restore a backup: latchkey db restore BACKUP --data %s"
	switch {
	case len(names) > 0:
		return fmt.Errorf("%w: it was damaged and is kept in quarantine as %s: "+remedy, ErrMissing, strings.Join(names, ", "), f.dir)
	case marks != nil:
		at := "its watermark is still there"
		if last := marks.Last(); last != nil {
			at = fmt.Sprintf("it was at %s", positionFromProto(last))
		}
		return fmt.Errorf("%w: %s: %s: put it back, or "+remedy, ErrMissing, f.file(), at, f.dir)
	}
	return nil
}

// create puts a new store in the folder. Its watermark is made when it is opened:
// a store without any write needs none.
func (db *DB) create() error {
	// A lineage that begins later has the greater number, and no other store
	// has the same. A replica's is that of the hub, once it has something.
	epoch := uint64(max(db.options.Now().UnixMicro(), 1))
	if db.options.Replica {
		epoch = 0
	}
	return createBolt(db.folder.file(), func(tx *bbolt.Tx) error {
		if err := errors.Join(writeMeta(tx, Position{Epoch: epoch}, 1), db.writeRole(tx)); err != nil || db.options.Replica {
			return err
		}
		return writeOrigin(tx, newOrigin())
	})
}

// newOrigin returns a name that no other store has.
func newOrigin() string {
	random := make([]byte, 16)
	_, _ = rand.Read(random) // never fails
	return hex.EncodeToString(random)
}

// writeOrigin says where all that the store holds comes from; empty for not known.
func writeOrigin(tx *bbolt.Tx, origin string) error {
	if origin == "" {
		return nil
	}
	return put(tx, bucketMeta, metaOrigin, []byte(origin))
}

// writeRole says whose store it is.
func (db *DB) writeRole(tx *bbolt.Tx) error {
	if !db.options.Replica {
		return nil
	}
	return put(tx, bucketMeta, metaRole, roleReplica)
}

func writeMeta(tx *bbolt.Tx, at Position, floor uint64) error {
	if err := tx.Bucket(bucketMeta).Put(metaFormat, number(formatVersion)); err != nil {
		return err
	}
	if err := put(tx, bucketMeta, metaPosition, encodePosition(at)); err != nil {
		return err
	}
	return put(tx, bucketMeta, metaFloor, number(floor))
}

// openMarks opens the watermark, makes it where it may be missing, and begins it
// anew where an older part of it is damaged.
func (db *DB) openMarks(img *image, marks *watermark.Contents, caughtUp bool) (err error) {
	if !caughtUp {
		// Nobody acknowledged the newest revision yet.
		if err := db.writeAgain(); err != nil {
			return fmt.Errorf("making revision %d durable: %w", img.view.position.Revision, err)
		}
	}
	if marks != nil {
		db.gap = marks.Damage
	}
	if marks == nil || marks.Damage != nil {
		db.marks, err = watermark.Create(db.folder.watermark(), baseMark(img.view, marks))
		return err
	}
	if db.marks, err = watermark.Open(db.folder.watermark(), marks); err != nil || caughtUp {
		return err
	}
	// The crash came between the file and the watermark.
	m := markOf(img.newest, func(string) bool { return true })
	return addMark(db.marks, m)
}
