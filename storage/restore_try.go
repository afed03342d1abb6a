package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// TryRestore tells what Restore would do, having judged the backup, the former
// file and the watermark as Restore would, and changes nothing: the backup and
// the folder stay as they are, and one that isn't there isn't made. It takes the
// folder's lock, as Restore does, so that what it tells is of a store that no
// process writes to. Files of earlier formats are read from copies, in the
// folder for temporary files.
func TryRestore(dir, backup string, o Options) (_ *Restored, err error) {
	o.setDefaults()
	if o.Replica {
		return nil, fmt.Errorf("restoring %s: %w", backup, ErrReplica)
	}
	f, err := visitFolder(dir, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.leave()) }()
	scratch, err := os.MkdirTemp("", "latchkey-restore-*") // 0700
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	r := &restorer{folder: f, options: o}
	tried, err := r.try(backup, filepath.Join(scratch, fileName))
	if err != nil {
		return nil, fmt.Errorf("restoring %s: %w", backup, err)
	}
	return tried, nil
}

// visitFolder enters a data folder without making it, or anything in it.
func visitFolder(dir string, o Options) (*folder, error) {
	f := &folder{dir: dir}
	_, err := os.Stat(dir)
	if errors.Is(err, os.ErrNotExist) {
		return f, nil
	}
	if _, err := mayUse(dir); err != nil {
		return nil, err
	}
	lock := filepath.Join(dir, lockName)
	if _, err = os.Lstat(lock); errors.Is(err, os.ErrNotExist) {
		return f, nil // no process has it
	}
	f.lock, err = lockFile(lock, o.LockTimeout)
	return f, err
}

// try judges a backup. temp is the name of copies that may have to be made.
func (r *restorer) try(backup, temp string) (*Restored, error) {
	if err := r.lookAtFormer(temp); err != nil {
		return nil, err
	}
	img, err := r.readBackupInPlace(backup, temp)
	if err != nil {
		return nil, fmt.Errorf("the backup can't be used: %w", err)
	}
	_, _, out, err := r.judge(img)
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(r.folder.file()); err == nil {
		out.Replaced = r.folder.file()
	}
	return out, nil
}

// readBackupInPlace reads a backup where it lies, whose rights stay as they are,
// or a copy of one that has to be taken over from an earlier format.
func (r *restorer) readBackupInPlace(backup, temp string) (*image, error) {
	if err := regular(backup); err != nil {
		return nil, err
	}
	img, err := readFile(backup, reading{objects: true})
	var old *formatError
	switch {
	case err == nil:
		img.path = backup
		return img, nil
	case !errors.As(err, &old):
		return nil, err
	}
	if err := copyBackup(backup, temp); err != nil {
		return nil, err
	}
	return readBackup(temp, r.options)
}
