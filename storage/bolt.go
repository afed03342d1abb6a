package storage

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/latchkey/latchkey/internal/disk"
	"github.com/latchkey/latchkey/storage/boltguard"
)

// addressSpace is reserved for the file's map, so that it needs no new map,
// which would wait for readers, before it is as large. It costs no memory.
const addressSpace = 1 << 30

// openBolt hands a file to bbolt. It must be known to be whole: bbolt maps it
// into memory and believes its pages.
func openBolt(path string, wait time.Duration) (*bbolt.DB, error) {
	bolt, err := boltguard.Open(path, wait, addressSpace)
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("%s: %w", path, ErrLocked)
	case err != nil:
		return nil, fmt.Errorf("opening the store %s: %w", path, err)
	}
	return bolt, nil
}

// contain calls f and turns a panic, and a fault of the mapped file, into an error.
func contain(f func() error) error { return boltguard.Contain(f) }

// panicError is a panic that was contained. bbolt's locks may still be held.
type panicError = boltguard.Panic

// createBolt writes a new file by one transaction and puts it in its place:
// whole or not at all. What was there is replaced.
func createBolt(path string, fill func(*bbolt.Tx) error) error {
	temp := path + newSuffix
	bolt, err := openBolt(temp, time.Second)
	if err != nil {
		return err
	}
	err = contain(func() error {
		return bolt.Update(func(tx *bbolt.Tx) error {
			for _, name := range buckets {
				if _, err := tx.CreateBucketIfNotExists(name); err != nil {
					return err
				}
			}
			return fill(tx)
		})
	})
	if err := errors.Join(err, bolt.Close()); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return disk.Install(temp, path)
}

// copyFile copies a file for good to a place where there is none.
func copyFile(from io.Reader, to string) (err error) {
	f, err := boltguard.OpenPrivate(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}
