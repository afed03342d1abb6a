package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Install gives a file that is written and synced beside another the other's name, for good: at every moment the name stands
// for one of the two, also after a crash. A file that can't have the name is removed.
func Install(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return errors.Join(err, os.Remove(from))
	}
	return SyncFolder(filepath.Dir(to))
}

// InstallNew gives a file that is written and synced beside a name that name, for good, unless something has it already: the
// error is fs.ErrExist then, and what is there stays as it is, whoever made it meanwhile. On a file system without hard links
// something that comes at the very moment is replaced. With an error neither file is left.
func InstallNew(from, to string) error {
	err := os.Link(from, to)
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EMLINK) {
		switch _, err = os.Lstat(to); {
		case err == nil:
			err = &fs.PathError{Op: "install", Path: to, Err: fs.ErrExist}
		case errors.Is(err, fs.ErrNotExist):
			err = os.Rename(from, to)
		}
	} else if err == nil {
		err = os.Remove(from)
		if err != nil {
			return errors.Join(err, os.Remove(to))
		}
	}
	if err != nil {
		return errors.Join(err, os.Remove(from))
	}
	if err := SyncFolder(filepath.Dir(to)); err != nil {
		// It may be there, and a power cut may take it away again.
		return errors.Join(err, os.Remove(to))
	}
	return nil
}

// Replace puts a content in the place of a file's, or makes the file, for its owner alone: all of it or, with an error,
// nothing. By the name with ".new" behind it nobody else may write meanwhile. Only what is durable outlives a crash of the
// machine once this has returned; what isn't may be lost or torn by one, and costs no wait for the disk.
func Replace(path string, content []byte, durable bool) error {
	temp := path + ".new"
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil && durable {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	if durable {
		return Install(temp, path)
	}
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return nil
}
