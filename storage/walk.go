package storage

import (
	"os"

	"github.com/latchkey/latchkey/storage/boltfile"
)

// walkPath walks a file as walkFile does.
func walkPath(path string, do func(bucket string, name, value []byte) error) error {
	f, err := openPrivate(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // nothing was written
	return walkFile(f, do)
}

// walkFile calls do as boltfile's Walk does, and sees that bbolt can be trusted
// with the file.
func walkFile(f *os.File, do func(bucket string, name, value []byte) error) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	pages, err := boltfile.New(f, info.Size())
	if err != nil {
		return damaged(err)
	}
	_, err = pages.Walk(do)
	return damaged(err)
}

// lookAway is for a walk that is made for its own sake.
func lookAway(string, []byte, []byte) error { return nil }
