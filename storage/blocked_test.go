//go:build linux && (amd64 || arm64)

package storage_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/latchkey/latchkey/internal/faults"
	"github.com/latchkey/latchkey/storage"
)

// A start on a disk that may only be read is refused for that reason, changes
// nothing, and succeeds once the disk can be written to.
func TestReadOnlyDisk(t *testing.T) {
	inFaultyChild(t, func() {
		dir := t.TempDir()
		faults.GiveUp(faults.Tmpfs(dir, 32<<20))
		defer func() {
			if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
				t.Error(err)
			}
		}()
		mount := func(flags uintptr) {
			if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|flags, ""); err != nil {
				t.Fatal(err)
			}
		}
		for _, s := range scenarios() {
			base := filepath.Join(dir, "some")
			_, from := s.template(t, base)
			mount(syscall.MS_RDONLY)
			before := bytesOf(t, base)
			for what, act := range map[string]func() error{
				"Open":      func() error { _, err := storage.Open(from.data(), from.plain()); return err },
				"accepting": func() error { return accepts(from) },
				"Restore": func() error {
					backup := filepath.Join(base, "backup")
					if before["backup"] == "" {
						backup = from.file()
					}
					_, err := storage.Restore(from.data(), backup, from.plain())
					return err
				},
			} {
				if s.options.Replica && what != "Open" {
					continue // which nobody does to a replica
				}
				err := act()
				if !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), from.data()) {
					t.Errorf("%s: %s on a disk to read only: %v", s.name, what, err)
				}
				wrongRemedy(from, what, err)
			}
			if after := bytesOf(t, base); !maps.Equal(before, after) {
				t.Errorf("%s: a disk to read only has changed", s.name)
			}
			mount(0)
			db, err := storage.Open(from.data(), from.plain())
			if len(s.first) == 0 && err != nil || len(s.first) > 0 && from.first.allows(nil, err) != nil {
				t.Errorf("%s: Open once the disk is good: %v", s.name, err)
			}
			if db != nil {
				if err := errors.Join(db.Check(), db.Close()); err != nil {
					t.Errorf("%s: %v", s.name, err)
				}
			}
			if err := os.RemoveAll(base); err != nil {
				t.Fatal(err)
			}
		}
	}, faults.Isolate)
}

// bytesOf returns all files in a folder.
func bytesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	f, err := freeze(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for name := range f.files {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(b)
	}
	return all
}
