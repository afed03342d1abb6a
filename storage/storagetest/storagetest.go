// Package storagetest helps tests with stores: real ones, in folders of their own.
package storagetest

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/latchkey/latchkey/storage"
)

// New opens a new store, with at most one set of options. When the test ends
// the store is checked and closed.
func New(t testing.TB, options ...storage.Options) *storage.DB {
	t.Helper()
	return Open(t, Dir(t), options...)
}

// Dir returns the name of a folder that a store may make, for a test that
// opens it several times.
func Dir(t testing.TB) string { return filepath.Join(t.TempDir(), "data") }

// Open opens the store in a folder as New does. A store that the test has
// closed itself is not checked.
func Open(t testing.TB, dir string, options ...storage.Options) *storage.DB {
	t.Helper()
	var o storage.Options
	switch len(options) {
	case 0:
	case 1:
		o = options[0]
	default:
		t.Fatal("storagetest: more than one set of options")
	}
	db, err := storage.Open(dir, o)
	if err != nil {
		t.Fatalf("opening a store: %v", err)
	}
	t.Cleanup(func() { Close(t, db) })
	return db
}

// Close checks and closes a store, if it isn't closed yet.
func Close(t testing.TB, db *storage.DB) {
	t.Helper()
	switch err := db.Check(); {
	case err == nil:
	case errors.Is(err, storage.ErrClosed):
		return
	default:
		t.Errorf("the store is inconsistent: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Errorf("closing the store: %v", err)
	}
}
