package storage

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/latchkey/latchkey/storage/boltguard"
)

// BackupFolder copies the store in a data folder that no process has open to a
// new file (0600), sees that the copy is whole, and returns what it holds. What
// is not whole, or not known to be the newest, isn't copied: the error says what
// is wrong. Other errors are those of VerifyFolder; ErrLocked says that a process
// has the folder, which is to be asked for a Backup. What failed leaves no file.
func BackupFolder(dir, path string, lockTimeout time.Duration) (*Report, error) {
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return nil, taken(path, err)
	}
	found, err := VerifyFolder(dir, lockTimeout)
	if err != nil {
		return nil, err
	}
	if len(found.Problems) > 0 {
		return nil, fmt.Errorf("%s is no store to keep a copy of: %w", found.Path, errors.Join(found.Problems...))
	}
	temp := path + newSuffix
	if err := copyStore(dir, temp, lockTimeout); err != nil {
		return nil, fmt.Errorf("copying the store: %w", err)
	}
	// The lock was free for a moment after the folder was verified, but what
	// was copied is of one moment: only that the two are the same is asked.
	copied, err := Verify(temp)
	switch {
	case err != nil:
	case len(copied.Problems) > 0:
		err = errors.Join(copied.Problems...)
	case copied.Position != found.Position || copied.Format != found.Format:
		err = fmt.Errorf("the store was written to meanwhile, and is at %s: try again", copied.Position)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the copy isn't whole: %w", err), removeIfThere(temp))
	}
	if err := installCopy(temp, path); err != nil {
		return nil, err
	}
	copied.Path = path
	return copied, nil
}

// copyStore copies the store's file of a folder that no process has.
func copyStore(dir, to string, lockTimeout time.Duration) error {
	o := Options{LockTimeout: lockTimeout}
	o.setDefaults()
	f, err := enterFolder(dir, o.LockTimeout)
	if err != nil {
		return err
	}
	if err := removeIfThere(to); err != nil { // left by a crash
		return errors.Join(err, f.leave())
	}
	from, err := boltguard.OpenPrivate(f.file(), os.O_RDONLY, 0)
	if err != nil {
		return errors.Join(err, f.leave())
	}
	return errors.Join(copyFile(from, to), from.Close(), f.leave())
}
