package storage_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// A replica doesn't follow with the store of a process that takes writes, and such a process doesn't write to a
// replica's: each leaves the other's as it is. A hub can begin from a replica's file, as from any backup.
func TestRoles(t *testing.T) {
	hubDir, dir := storagetest.Dir(t), storagetest.Dir(t)
	hub := storagetest.Open(t, hubDir)
	written(t, hub)
	for name, replica := range map[string]*storage.DB{"new": nil, "with a snapshot": hub} {
		t.Run(name, func(t *testing.T) {
			db := storagetest.Open(t, dir, storage.Options{Replica: true})
			if replica != nil {
				copyTo(t, hub, db)
			}
			storagetest.Close(t, db)
			before := readFiles(t, dir)
			if _, err := storage.Open(dir, storage.Options{}); !errors.Is(err, storage.ErrRole) {
				t.Errorf("opened to write to it: %v", err)
			}
			if _, err := storage.Open(dir, storage.Options{AcceptRollback: true}); !errors.Is(err, storage.ErrRole) {
				t.Errorf("opened to go on from it: %v", err)
			}
			if !before.same(readFiles(t, dir)) {
				t.Error("its files changed")
			}
		})
	}
	storagetest.Close(t, hub)
	before := readFiles(t, hubDir)
	if _, err := storage.Open(hubDir, storage.Options{Replica: true}); !errors.Is(err, storage.ErrRole) {
		t.Errorf("a replica follows with it: %v", err)
	}
	if !before.same(readFiles(t, hubDir)) {
		t.Error("its files changed")
	}
	if _, err := storage.TryRestore(dir, filepath.Join(hubDir, storage.FileName), storage.Options{}); !errors.Is(err, storage.ErrRole) {
		t.Errorf("tried: %v", err)
	}
	if _, err := storage.Restore(dir, filepath.Join(hubDir, storage.FileName), storage.Options{}); !errors.Is(err, storage.ErrRole) {
		t.Errorf("restored into a replica's folder: %v", err)
	}

	next := storagetest.Dir(t)
	done, err := storage.Restore(next, filepath.Join(dir, storage.FileName), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	db := storagetest.Open(t, next)
	if origin := hub.Origin(); len(origin) != 32 || db.Origin() != origin || storagetest.New(t).Origin() == origin {
		t.Errorf("the origins are %q and %q", origin, db.Origin())
	}
	if db.Position() != done.At || done.Backup != hub.Position() || done.At.Epoch <= hub.Position().Epoch {
		t.Errorf("a hub from a replica's file of %s is at %s, and tells of %s", hub.Position(), db.Position(), done.At)
	}
	commit(t, db, storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_8"}}})
}
