//go:build linux && (amd64 || arm64)

package storage_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/internal/faults"
	"github.com/latchkey/latchkey/storage"
)

// A commit that fails makes bbolt scan all pages, in a goroutine of its own: a
// page that is damaged by then must not end the process.
func TestDamageMeetsAFullDisk(t *testing.T) {
	if faults.Apart(t, 5*time.Minute) {
		return
	}
	defer func() { faults.GiveUp(faults.Inject("", nil)) }()
	dir := filepath.Join(t.TempDir(), "data")
	db := storeWithDamagedBranch(t, dir)

	// The page is met by a write of what lies below it: that one fails, and others go on.
	ctx := context.Background()
	if _, err := db.Commit(ctx, tenantChange(5)); !errors.Is(err, storage.ErrDamaged) {
		t.Errorf("a write below the page: %v, want %v", err, storage.ErrDamaged)
	}
	policy := storage.Change{Policies: map[string][]byte{"a": []byte("b")}}
	if _, err := db.Commit(ctx, policy); err != nil {
		t.Errorf("a write of something else: %v", err)
	}
	if err := db.Mend(ctx); !errors.Is(err, storage.ErrDamaged) {
		t.Errorf("Mend says %v, want %v", err, storage.ErrDamaged)
	}

	faults.GiveUp(faults.Inject(dir, func(c faults.Call) faults.Fault {
		if c.Name == "pwrite64" && strings.HasSuffix(c.Path, storage.FileName) {
			return faults.Fault{Errno: syscall.ENOSPC}
		}
		return faults.Fault{}
	}))
	policy.Policies["a"] = []byte("c")
	if _, err := db.Commit(ctx, policy); err == nil {
		t.Error("a write on a full disk succeeded")
	}
	faults.GiveUp(faults.Inject("", nil))
	db.View(func(v *storage.View) {
		if !found(v.Tenant("team:t000005")) {
			t.Error("views stopped")
		}
	})
	if _, err := db.Commit(ctx, policy); !errors.Is(err, storage.ErrFailed) || !strings.Contains(err.Error(), "start the process again") {
		t.Errorf("the next write: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func tenantChange(n int) storage.Change {
	return storage.Change{RemoveTenants: []string{fmt.Sprintf("team:t%06d", n)}}
}

// storeWithDamagedBranch returns an open store whose tenants can't be reached
// any more in the file: the first child of their branch is beyond its end.
func storeWithDamagedBranch(t *testing.T, dir string) *storage.DB {
	t.Helper()
	db, err := storage.Open(dir, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var c storage.Change
	for n := range 300 {
		c.Tenants = append(c.Tenants, &directory.Tenant{ID: fmt.Sprintf("team:t%06d", n)})
	}
	commit(t, db, c)
	path := filepath.Join(dir, storage.FileName)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	size, hit := os.Getpagesize(), 0
	for at := 2 * size; at+size <= len(file); at += size {
		page := file[at : at+size]
		if binary.NativeEndian.Uint64(page) != uint64(at/size) || binary.NativeEndian.Uint16(page[8:]) != 1 {
			continue
		}
		// An element of a branch: place of the key, its length, the child's page.
		element := page[16:]
		if !bytes.HasPrefix(element[binary.NativeEndian.Uint32(element):], []byte("team:")) {
			continue
		}
		if _, err := f.WriteAt(binary.NativeEndian.AppendUint64(nil, 1<<17), int64(at+16+8)); err != nil {
			t.Fatal(err)
		}
		hit++
	}
	if err := f.Close(); err != nil || hit == 0 {
		t.Fatalf("%d branches were damaged: %v", hit, err)
	}
	return db
}
