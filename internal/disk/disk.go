// Package disk has what several packages ask of files, and the standard library doesn't say in one call.
package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// DamagedSuffix is what the name of a damaged file gets that is put aside.
const DamagedSuffix = ".damaged"

// SyncFolder makes the names in a folder durable: of a file that was made, renamed or removed there, after its own content.
func SyncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

var errPipe = errors.New("it is a named pipe: name a regular file")

// Read reads a file that is followed as it changes, and of one with more than limit bytes limit+1 of them. A named pipe is
// an error: one that nobody writes to would hold up whoever follows the file.
func Read(name string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	switch info, err := f.Stat(); {
	case err != nil:
		return nil, errors.Join(err, f.Close())
	case info.Mode()&fs.ModeNamedPipe != 0:
		return nil, errors.Join(&fs.PathError{Op: "read", Path: name, Err: errPipe}, f.Close())
	}
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	return text, errors.Join(err, f.Close())
}
