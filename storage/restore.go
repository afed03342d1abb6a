package storage

import (
	"errors"
	"fmt"
	"os"

	"go.etcd.io/bbolt"

	"github.com/latchkey/latchkey/internal/disk"
	"github.com/latchkey/latchkey/storage/watermark"
)

// Restored is what a Restore did, or TryRestore found that it would do.
type Restored struct {
	Backup   Position // where the backup was
	At       Position // where the store is now: the first revision of a new epoch; zero of what was only tried
	Known    Position // the newest position that was acknowledged before, as far as that is known
	Unknown  bool     // whether more may have been lost: the watermark is missing, damaged, or not of the backup's history
	Replaced string   // where the former file is kept, or is while nothing was done; empty if there was none

	// Withdrawn is what the objects of the backup had lost since, and lost again.
	Withdrawn []Withdrawn
}

// Restore puts a copy of a backup in the place of the store in a folder. No
// process may have the store open. The store gets a new epoch, so that who
// followed the old one begins anew, and what its keys, tenants and principals
// had lost since the backup is taken from them again, as far as the watermark
// and the former file know. The former file is kept beside.
//
// Either all of it has happened or nothing, whenever the process ends; to do it
// again does no harm. Of Options, Now, LockTimeout and Compile count.
func Restore(dir, backup string, o Options) (_ *Restored, err error) {
	o.setDefaults()
	if o.Replica {
		return nil, fmt.Errorf("restoring %s: %w", backup, ErrReplica)
	}
	f, err := enterFolder(dir, o.LockTimeout)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.leave()) }()
	r := &restorer{folder: f, options: o}
	restored, err := r.restore(backup)
	if err != nil {
		return nil, fmt.Errorf("restoring %s: %w", backup, err)
	}
	return restored, nil
}

type restorer struct {
	folder  *folder
	options Options
	marks   *watermark.Contents
	former  *image // nil if it isn't whole, or isn't there
}

func (r *restorer) restore(backup string) (*Restored, error) {
	// A copy, in the folder: the backup stays what it was.
	temp := r.folder.file() + newSuffix
	if err := r.lookAtFormer(temp); err != nil {
		return nil, err
	}
	if err := copyBackup(backup, temp); err != nil {
		return nil, err
	}
	out, err := r.restoreFrom(temp)
	if err != nil {
		return nil, errors.Join(err, removeIfThere(temp))
	}
	return out, nil
}

// lookAtFormer reads the file that is to be replaced, which must not be a
// replica's. temp is the name of a copy that may have to be made.
func (r *restorer) lookAtFormer(temp string) (err error) {
	if r.former, err = r.readFormer(temp); err != nil {
		return err
	}
	if r.former != nil && r.former.replica {
		return fmt.Errorf("%s: %w: it is a replica's, which gets back all that it needs from a hub: name the folder of a hub", r.folder.file(), ErrRole)
	}
	return nil
}

// readFormer returns the image of the file that is to be replaced, and nil where
// it can't be read: that is what one restores for.
func (r *restorer) readFormer(temp string) (*image, error) {
	img, err := readWhole(r.folder.file())
	var old *formatError
	if err == nil || !errors.As(err, &old) {
		return img, nil
	}
	// A copy is taken over, and the file stays as it is.
	if err := copyBackup(r.folder.file(), temp); err != nil {
		return nil, err
	}
	img, err = readBackup(temp, r.options)
	if errors.Is(err, ErrDamaged) || errors.Is(err, ErrFormat) {
		img, err = nil, nil
	}
	if img != nil {
		img.path = "" // a copy, and gone now
	}
	return img, errors.Join(err, removeIfThere(temp))
}

func copyBackup(backup, to string) error {
	if err := regular(backup); err != nil {
		return err
	}
	from, err := os.Open(backup)
	if err != nil {
		return err
	}
	err = copyFile(from, to)
	return errors.Join(err, from.Close())
}

// regular returns why a backup can't be read to its end, such as a pipe.
func regular(backup string) error {
	info, err := os.Stat(backup)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file: name a file that `latchkey db backup` made", backup)
	}
	return err
}

func (r *restorer) restoreFrom(temp string) (*Restored, error) {
	img, err := readBackup(temp, r.options)
	if err != nil {
		return nil, fmt.Errorf("the backup can't be used, and nothing was changed: %w", err)
	}
	db, w, out, err := r.judge(img)
	if err != nil {
		return nil, err
	}
	if db.bolt, err = openBolt(temp, r.options.LockTimeout); err != nil {
		return nil, err
	}
	err = contain(func() error {
		if err := db.bolt.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketMeta).Delete(metaRole) }); err != nil {
			return err // of a replica's file, which is a backup too
		}
		return db.writeFile(w)
	})
	if err := errors.Join(err, db.bolt.Close()); err != nil {
		return nil, err
	}
	db.publish(w)
	out.At = db.Position()
	if _, err := readStore(temp); err != nil {
		return nil, fmt.Errorf("the restored store isn't whole: %w", err)
	}
	return out, r.replace(temp, w, db, out)
}

// judge decides what becomes of the image of a backup, and writes nothing.
func (r *restorer) judge(img *image) (*DB, *write, *Restored, error) {
	var err error
	if r.marks, err = readMarks(r.folder.watermark()); err != nil {
		return nil, nil, nil, err
	}
	db := &DB{options: r.options, folder: r.folder, log: logExtent{floor: img.floor, size: img.logSize}}
	if img.view.policies, err = db.compile(img.view.documents); err != nil {
		return nil, nil, nil, err
	}
	db.begin(img.view, img.shapes)
	out := &Restored{Backup: img.view.position, Known: img.view.position}
	if last := lastMark(r.marks); last != nil {
		out.Known = positionFromProto(last)
	} else if r.former != nil {
		out.Known = r.former.view.position
	}
	w, err := r.withdraw(img, db, out)
	return db, w, out, err
}

// withdraw prepares the first write of the new epoch.
func (r *restorer) withdraw(img *image, db *DB, out *Restored) (*write, error) {
	lost, err := withdraw(img, r.marks, r.former)
	if err != nil {
		return nil, err
	}
	out.Withdrawn, out.Unknown = lost.list, !lost.sure
	change := lost.change
	change.Action, change.Note = actionRestore, fmt.Sprintf("from revision %d; %d objects withdrawn again", out.Backup.Revision, len(lost.list))
	return db.takeOver(change, img.objects.keys, r.marks)
}

// replace puts the new file in the place of the former one, and tells the
// watermark.
func (r *restorer) replace(temp string, w *write, db *DB, out *Restored) error {
	path := r.folder.file()
	switch _, err := os.Lstat(path); {
	case err == nil:
		if out.Replaced, err = r.folder.keep(replacedInfix, "restore", r.options.Now()); err != nil {
			return err
		}
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	if err := ownLike(r.folder.dir, temp); err != nil {
		return err
	}
	if err := disk.Install(temp, path); err != nil {
		return err
	}
	marks, err := beginMarks(r.folder, w.mark, r.marks, db.state.Load())
	if err != nil {
		return fmt.Errorf("%w; the store is restored, and the watermark isn't told: run the command again", err)
	}
	return errors.Join(marks.Close(), ownLike(r.folder.dir, r.folder.watermark()))
}

// readBackup reads a copy of a backup, and takes it over from an earlier format.
func readBackup(path string, o Options) (*image, error) {
	img, err := readWhole(path)
	var old *formatError
	if errors.As(err, &old) && old.format < formatVersion && old.format > 0 {
		if err := upgradeFile(path, o); err != nil {
			return nil, err
		}
		return readWhole(path)
	}
	return img, err
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
