package storage_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// shortLock is how long a lock is waited for that nobody lets go of.
const shortLock = 50 * time.Millisecond

// leftStore makes a store of some revisions in a folder and leaves it.
func leftStore(t *testing.T, dir string, tenants ...string) storage.Position {
	t.Helper()
	db := storagetest.Open(t, dir)
	for _, name := range tenants {
		if _, err := db.Commit(t.Context(), storage.Change{Action: "test", Tenants: []*directory.Tenant{{ID: name}}}); err != nil {
			t.Fatal(err)
		}
	}
	at := db.Position()
	storagetest.Close(t, db)
	return at
}

func TestBackupOfAFolder(t *testing.T) {
	dir, path := storagetest.Dir(t), filepath.Join(t.TempDir(), "backup.db")
	at := leftStore(t, dir, "team:t_1", "team:t_2")
	// What a crash left is no obstacle.
	if err := os.WriteFile(path+".new", []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	made, err := storage.BackupFolder(dir, path, shortLock)
	if err != nil || made.Position != at || made.Path != path || made.Tenants != 2 || len(made.Problems) > 0 {
		t.Fatalf("got %+v, %v; want %v", made, err, at)
	}
	if found, err := storage.Verify(path); err != nil || found.Position != at || len(found.Problems) > 0 {
		t.Errorf("the copy is %+v, %v", found, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	if _, err := os.Lstat(path + ".new"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what it was made as is left: %v", err)
	}
	if now := leftStore(t, dir); now != at {
		t.Errorf("the store is at %v afterwards", now)
	}
	if _, err := storage.BackupFolder(dir, path, shortLock); !errors.Is(err, os.ErrExist) {
		t.Errorf("over a file that is there: %v", err)
	}
}

func TestBackupOfAFolderIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil func(t *testing.T, dir string)
		is    error
		says  string
	}{
		"in use":       {func(t *testing.T, dir string) { storagetest.Open(t, dir) }, storage.ErrLocked, "stop it"},
		"not there":    {func(t *testing.T, dir string) { removeAll(t, filepath.Join(dir, storage.FileName)) }, storage.ErrMissing, "db restore"},
		"not proven":   {func(t *testing.T, dir string) { removeAll(t, filepath.Join(dir, "latchkey.watermark")) }, storage.ErrUnproven, "watermark"},
		"no folder":    {func(t *testing.T, dir string) { removeAll(t, dir) }, os.ErrNotExist, ""},
		"an older one": {putOlderBack, storage.ErrRollback, "tenant team:t_1: suspended"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, path := storagetest.Dir(t), filepath.Join(t.TempDir(), "backup.db")
			leftStore(t, dir, "team:t_1")
			tc.spoil(t, dir)
			made, err := storage.BackupFolder(dir, path, shortLock)
			if made != nil || !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, %v", made, err)
			}
			if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 0 {
				t.Errorf("%v is left, %v", left, err)
			}
		})
	}
}

func removeAll(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

// putOlderBack puts a copy of the store in its place that is a write older.
func putOlderBack(t *testing.T, dir string) {
	t.Helper()
	older := filepath.Join(t.TempDir(), "older.db")
	if _, err := storage.BackupFolder(dir, older, shortLock); err != nil {
		t.Fatal(err)
	}
	db := storagetest.Open(t, dir)
	if _, err := db.Commit(t.Context(), storage.Change{Action: "test", Tenants: []*directory.Tenant{{ID: "team:t_1", Suspended: true, Revision: 1}}}); err != nil {
		t.Fatal(err)
	}
	storagetest.Close(t, db)
	if err := os.Rename(older, filepath.Join(dir, storage.FileName)); err != nil {
		t.Fatal(err)
	}
}
