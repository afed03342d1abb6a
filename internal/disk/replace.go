package disk

import (
	"errors"
	"os"
	"path/filepath"
)

// Install gives a file that is written and synced beside another the other's name, for good: at every moment the name stands
// for one of the two, also after a crash. A file that can't have the name is removed.
func Install(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return errors.Join(err, os.Remove(from))
	}
	return SyncFolder(filepath.Dir(to))
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
