package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/latchkey/latchkey/internal/disk"
	"github.com/latchkey/latchkey/storage/boltguard"
	"github.com/latchkey/latchkey/storage/watermark"
)

// Names in the data folder.
const (
	fileName = "latchkey.db"
	lockName = "latchkey.lock"
	// What is being written, and takes its place by a rename. Leftovers of a
	// crash are removed by the next Open.
	newSuffix = ".new"
	// A store that a replica receives, until it takes the store's place. A
	// leftover is removed likewise.
	stagedSuffix = ".staged"
	// A file that failed is kept under the store's name, this, the time, and
	// the reason.
	damagedInfix = ".damaged-"
	// A file that was replaced on purpose is kept likewise.
	replacedInfix = ".replaced-"
)

const (
	folderMode = 0o700
	fileMode   = boltguard.FileMode
	others     = 0o077 // the rights of everybody but the owner
)

// folder is a data folder that belongs to this process.
type folder struct {
	dir  string
	lock *os.File
}

func (f *folder) file() string      { return filepath.Join(f.dir, fileName) }
func (f *folder) watermark() string { return filepath.Join(f.dir, watermark.Name) }
func (f *folder) staged() string    { return f.file() + stagedSuffix }

// enterFolder makes the folder where it is missing, sees to its rights, takes
// its lock and clears what a crash left.
func enterFolder(dir string, wait time.Duration) (*folder, error) {
	if err := makeFolder(dir); err != nil {
		return nil, fmt.Errorf("making the data folder: %w", err)
	}
	if err := checkFolder(dir); err != nil {
		return nil, err
	}
	lock, err := lockFile(filepath.Join(dir, lockName), wait)
	if err != nil {
		return nil, err
	}
	f := &folder{dir: dir, lock: lock}
	if err := errors.Join(ownLike(dir, lock.Name()), f.removeLeftovers(), disk.SyncFolder(dir)); err != nil {
		return nil, errors.Join(fmt.Errorf("making the data folder ready: %w", err), f.leave())
	}
	return f, nil
}

// leave lets other processes in. The lock's file stays: whoever waits for it
// must wait for the same one.
func (f *folder) leave() error {
	if f.lock == nil {
		return nil // it was looked at, and nobody has it
	}
	return f.lock.Close()
}

func (f *folder) removeLeftovers() error {
	// A file may be made for the making of another: that of a backup in an
	// earlier format for its upgrade, and that one by a transaction.
	name := f.file()
	errs := []error{removeIfThere(f.staged())}
	for range 3 {
		name += newSuffix
		errs = append(errs, removeIfThere(name))
	}
	return errors.Join(append(errs, f.removeSecondNames())...)
}

// removeSecondNames takes from the store's file the names that were given to it
// by what didn't come to replacing it.
func (f *folder) removeSecondNames() error {
	live, err := os.Lstat(f.file())
	if err != nil {
		return nil // without a store there are none
	}
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), fileName+replacedInfix) && !strings.HasPrefix(e.Name(), fileName+damagedInfix) {
			continue
		}
		info, err := e.Info()
		if err != nil || !os.SameFile(live, info) {
			continue
		}
		if err := os.Remove(filepath.Join(f.dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// keep gives the store's file a second name, which says when and why the first
// one is taken away, so that at no moment there is no store. Where a file can't
// have two names it is copied.
func (f *folder) keep(infix, reason string, now time.Time) (string, error) {
	path := f.aside(infix, reason, now)
	if os.Link(f.file(), path) == nil {
		return path, nil
	}
	from, err := os.Open(f.file())
	if err != nil {
		return "", fmt.Errorf("keeping the former file: %w", err)
	}
	if err := errors.Join(copyFile(from, path), from.Close()); err != nil {
		return "", fmt.Errorf("keeping the former file as %s: %w", path, err)
	}
	return path, nil
}

// setAside renames the store's file to one that says when and why.
func (f *folder) setAside(infix, reason string, now time.Time) (string, error) {
	path := f.aside(infix, reason, now)
	if err := os.Rename(f.file(), path); err != nil {
		return "", err
	}
	return path, disk.SyncFolder(f.dir)
}

// aside returns a name for the store's file that says when and why. No file has
// it: a clock that goes back must not cost one that is kept.
func (f *folder) aside(infix, reason string, now time.Time) string {
	base := f.file() + infix + now.UTC().Format("20060102T150405.000000Z") + "-" + reason
	name := base
	for n := 2; ; n++ {
		if _, err := os.Lstat(name); err != nil {
			return name
		}
		name = fmt.Sprintf("%s-%d", base, n)
	}
}

// quarantined returns the names of files that failed, oldest first.
func (f *folder) quarantined() ([]string, error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), fileName+damagedInfix) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// keepOne removes all files that failed but one: a replica can have its store
// again, and must not fill the disk with what is of no use to it.
func (f *folder) keepOne(path string) error {
	names, err := f.quarantined()
	errs := []error{err}
	for _, name := range names {
		if name != filepath.Base(path) {
			errs = append(errs, removeIfThere(filepath.Join(f.dir, name)))
		}
	}
	return errors.Join(errs...)
}

// makeFolder makes the folder and its missing parents, each for good.
func makeFolder(dir string) error {
	err := os.Mkdir(dir, folderMode)
	switch parent := filepath.Dir(dir); {
	case errors.Is(err, os.ErrExist):
		return nil
	case err == nil:
		return disk.SyncFolder(parent)
	case errors.Is(err, os.ErrNotExist) && parent != dir:
		if err := makeFolder(parent); err != nil {
			return err
		}
		return makeFolder(dir)
	}
	return err
}

func checkFolder(dir string) error {
	exposed, err := mayUse(dir)
	if err == nil && exposed != nil && os.Chmod(dir, folderMode) != nil {
		err = exposed
	}
	return err
}

// mayUse returns why a folder can't be a data folder. One that holds nothing but
// a store is made private: exposed is the error if that fails. Any other may be
// somebody's on purpose: it is theirs to say.
func mayUse(dir string) (exposed, err error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("looking at the data folder: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("the data folder %s is not a folder", dir)
	}
	if !boltguard.HasModes || info.Mode().Perm()&others == 0 {
		return nil, nil
	}
	private, err := storeAlone(dir)
	if err != nil {
		return nil, fmt.Errorf("looking into the data folder: %w", err)
	}
	exposed = fmt.Errorf("%w %s (its mode is %04o): chmod 700 it, or name a folder within it", ErrExposed, dir, info.Mode().Perm())
	if !private {
		return nil, exposed
	}
	return exposed, nil
}

// storeAlone reports whether nothing but a store and its sockets is in the folder.
func storeAlone(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		ours := e.Name() == fileName || e.Name() == lockName || e.Name() == watermark.Name ||
			strings.HasPrefix(e.Name(), fileName+".") || strings.HasPrefix(e.Name(), watermark.Name+".") || e.Type() == os.ModeSocket
		if !ours {
			return false, err
		}
	}
	return err == nil, err
}

// sameFile returns the size of the file at a path, and ErrMoved where that isn't
// the file that is open.
func sameFile(path string, open os.FileInfo) (int64, error) {
	now, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return 0, fmt.Errorf("%w: %s is not there: put it back, or restart to have the folder judged", ErrMoved, path)
	case err != nil:
		return 0, fmt.Errorf("%w: %w", ErrMoved, err)
	case !os.SameFile(now, open):
		return 0, fmt.Errorf("%w: %s is another file now: put the former one back, or restart to have this one judged", ErrMoved, path)
	}
	return now.Size(), nil
}
