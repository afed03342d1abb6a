package storage

import (
	"os"

	"github.com/latchkey/latchkey/storage/boltguard"
)

// walkPath walks a file as walkFile does.
func walkPath(path string, do func(bucket string, name, value []byte) error) error {
	f, err := boltguard.OpenPrivate(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // nothing was written
	return walkFile(f, do)
}

// walkFile calls do as boltfile's Walk does, and sees that bbolt can be trusted
// with the file.
func walkFile(f *os.File, do func(bucket string, name, value []byte) error) error {
	return damaged(boltguard.Walk(f, do))
}

// lookAway is for a walk that is made for its own sake.
func lookAway(string, []byte, []byte) error { return nil }
