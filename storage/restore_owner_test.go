//go:build unix

package storage_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
	"github.com/latchkey/latchkey/storage/watermark"
)

// Root restores, and another user serves.
func TestRestoreGivesFilesToTheFoldersOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	dir := storagetest.Dir(t)
	db := storagetest.Open(t, dir)
	commit(t, db, storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_1"}}})
	backup := filepath.Join(t.TempDir(), "backup")
	backUp(t, db, backup)
	storagetest.Close(t, db)
	const nobody = 65534
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	if _, err := storage.Restore(dir, backup, storage.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{storage.FileName, watermark.Name, "latchkey.lock"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if owner := info.Sys().(*syscall.Stat_t).Uid; owner != nobody {
			t.Errorf("%s belongs to %d", name, owner)
		}
	}
}

// The watermark is gone, and the former file knows what it knew.
func TestRestoreAsksTheFormerFile(t *testing.T) {
	dir := storagetest.Dir(t)
	db := storagetest.Open(t, dir)
	disabled, _ := issue(t)
	rotated, _ := issue(t)
	commit(t, db, storage.Change{Keys: []*key.Record{disabled, rotated}, Tenants: []*directory.Tenant{{ID: "org:o_1"}}})
	backup := filepath.Join(t.TempDir(), "backup")
	backUp(t, db, backup)
	next, err := lookUp(db, disabled.ID).Disable()
	if err != nil {
		t.Fatal(err)
	}
	_, secret := minted(t)
	turned, err := lookUp(db, rotated.ID).Rotate(secret, 0, start)
	if err != nil {
		t.Fatal(err)
	}
	commit(t, db, storage.Change{Keys: []*key.Record{next, turned}, RemoveTenants: []string{"org:o_1"}})
	storagetest.Close(t, db)
	if err := os.Remove(filepath.Join(dir, watermark.Name)); err != nil {
		t.Fatal(err)
	}
	restored, err := storage.Restore(dir, backup, storage.Options{})
	if err != nil || len(restored.Withdrawn) != 3 || !restored.Unknown {
		t.Fatalf("%+v, %v", restored, err)
	}
	db = storagetest.Open(t, dir)
	if !lookUp(db, disabled.ID).Disabled {
		t.Error("a key that was disabled is enabled")
	}
	if r := lookUp(db, rotated.ID); r.Current().Digest != secret.Digest || r.Secrets[0].Until.IsZero() {
		t.Error("a secret that was rotated away is current")
	}
	db.View(func(v *storage.View) {
		if found(v.Tenant("org:o_1")) {
			t.Error("a tenant that was removed is there")
		}
	})
}
