package boltguard

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// What fails or panics in a transaction is given up, and the next one goes on.
func TestUpdateGoesOn(t *testing.T) {
	bolt, err := Open(filepath.Join(t.TempDir(), "file"), time.Second, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bolt.Close() }()
	bucket, failed := []byte("bucket"), errors.New("failed")
	put := func(end func() error) error {
		return Update(bolt, func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists(bucket)
			if err != nil {
				return err
			}
			return errors.Join(b.Put([]byte("name"), []byte("value")), end())
		})
	}
	if err := put(func() error { return failed }); !errors.Is(err, failed) {
		t.Errorf("a failure: %v", err)
	}
	var panicked *Panic
	if err := put(func() error { panic("at the disco") }); !errors.As(err, &panicked) {
		t.Errorf("a panic: %v", err)
	}
	has := func() (there bool) {
		if err := View(bolt, func(tx *bbolt.Tx) error { there = tx.Bucket(bucket) != nil; return nil }); err != nil {
			t.Error(err)
		}
		return there
	}
	if has() {
		t.Error("what was given up is there")
	}
	if err := put(func() error { return nil }); err != nil || !has() {
		t.Errorf("the next: %v", err)
	}
}

// A value is taken for no other's.
func TestSeals(t *testing.T) {
	bucket, name, value := []byte("bucket"), []byte("name"), []byte("value")
	sealed := Seal(bucket, name, value)
	if got, err := Unseal(bucket, name, sealed); err != nil || string(got) != "value" {
		t.Errorf("%q, %v", got, err)
	}
	flipped := append([]byte(nil), sealed...)
	flipped[2] ^= 1
	for what, err := range map[string]error{
		"another bucket": second(Unseal([]byte("other"), name, sealed)),
		"another name":   second(Unseal(bucket, []byte("nam"), sealed)),
		"a flipped bit":  second(Unseal(bucket, name, flipped)),
		"nothing":        second(Unseal(bucket, name, nil)),
	} {
		if !errors.Is(err, ErrChecksum) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func second(_ []byte, err error) error { return err }

// Files of the data folder are their owner's alone, and none is opened through a link.
func TestOpenPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := OpenPrivate(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil || HasModes && info.Mode().Perm() != FileMode {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, path+".link"); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenPrivate(path+".link", os.O_RDWR, 0); err == nil {
		t.Error("a link was followed")
	}
}
