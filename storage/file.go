package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// fileName is the store's file in the data folder.
const fileName = "latchkey.db"

const (
	folderMode = 0o700
	fileMode   = 0o600
	others     = 0o077 // the rights of everybody but the owner
)

// addressSpace is reserved for the file's map, so that it needs no new map,
// which would wait for readers, before it is as large. It costs no memory.
const addressSpace = 1 << 30

// openFile makes the folder and the file where they are missing, sees to
// their rights, and takes the lock.
func openFile(dir string, wait time.Duration) (*bbolt.DB, error) {
	if err := makeFolder(dir); err != nil {
		return nil, fmt.Errorf("making the data folder: %w", err)
	}
	if err := checkFolder(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, fileName)
	bolt, err := bbolt.Open(path, fileMode, &bbolt.Options{
		Timeout:         wait, // zero would be for ever
		OpenFile:        openPrivate,
		InitialMmapSize: addressSpace,
		// The list of free pages is found again by a scan at Open instead of
		// being written, and synced, with each commit.
		NoFreelistSync: true,
		FreelistType:   bbolt.FreelistMapType,
		// Statistics would take one more lock in each transaction.
		NoStatistics: true,
	})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("%s: %w", path, ErrLocked)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrVersionMismatch), errors.Is(err, bolterrors.ErrChecksum):
		return nil, fmt.Errorf("%s: %w: %w", path, ErrFormat, err)
	case err != nil:
		return nil, fmt.Errorf("opening the store %s: %w", path, err)
	}
	// Always, since whoever made the file may have died before.
	if err := syncFolder(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("syncing the data folder: %w", err), bolt.Close())
	}
	return bolt, nil
}

// makeFolder makes the folder and its missing parents, each for good.
func makeFolder(dir string) error {
	err := os.Mkdir(dir, folderMode)
	switch parent := filepath.Dir(dir); {
	case errors.Is(err, os.ErrExist):
		return nil
	case err == nil:
		return syncFolder(parent)
	case errors.Is(err, os.ErrNotExist) && parent != dir:
		if err := makeFolder(parent); err != nil {
			return err
		}
		return makeFolder(dir)
	}
	return err
}

func checkFolder(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("looking at the data folder: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("the data folder %s is not a folder", dir)
	}
	if !hasModes || info.Mode().Perm()&others == 0 {
		return nil
	}
	// A folder that holds nothing but a store is made private. Any other may
	// be somebody's on purpose: it is theirs to say.
	private, err := storeAlone(dir)
	if err != nil {
		return fmt.Errorf("looking into the data folder: %w", err)
	}
	if !private || os.Chmod(dir, folderMode) != nil {
		return fmt.Errorf("%w %s (its mode is %04o): chmod 700 it, or name a folder within it", ErrExposed, dir, info.Mode().Perm())
	}
	return nil
}

// storeAlone reports whether nothing but a store and its sockets is in the folder.
func storeAlone(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if e.Name() != fileName && e.Type() != os.ModeSocket {
			return false, err
		}
	}
	return err == nil, err
}

// openPrivate opens a regular file, not through a link, and takes the rights
// of other users from it: the mode given at creation is no help to an older file.
func openPrivate(path string, flag int, mode os.FileMode) (*os.File, error) {
	f, err := os.OpenFile(path, flag|noFollow, mode)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%s is not a regular file", path)
	case hasModes && info.Mode().Perm()&others != 0:
		err = f.Chmod(fileMode)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
