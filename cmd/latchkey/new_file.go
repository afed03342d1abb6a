package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/latchkey/latchkey/internal/disk"
)

// vacant is the check that there is no file yet where one is to be written.
func vacant(path string) error {
	switch _, err := os.Lstat(path); {
	case err == nil:
		return taken(path)
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return fmt.Errorf("the file needs a folder: %w", err)
	}
	return nil
}

func taken(path string) error {
	return fmt.Errorf("%s is there already: name a new file, none is written over", path)
}

// writeNew has a file written that is there, for its owner alone, only once it is on the disk and check has found nothing
// wrong with it under the name that it has until then; nil checks nothing.
func writeNew(path string, write func(*os.File) error, check func(name string) error) (err error) {
	if err := vacant(path); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // 0600
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil && check != nil {
		err = check(f.Name())
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := disk.InstallNew(f.Name(), path); !errors.Is(err, os.ErrExist) {
		return err
	}
	return taken(path) // by somebody else, meanwhile
}
