package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

func TestReplace(t *testing.T) {
	for name, durable := range map[string]bool{"durable": true, "not": false} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "file")
			// What a crash left is in nobody's way.
			if err := os.WriteFile(path+".new", []byte("half of what was to be there"), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, content := range []string{"first", "second", ""} {
				if err := Replace(path, []byte(content), durable); err != nil {
					t.Fatal(err)
				}
				only(t, dir, "file")
				if now, err := os.ReadFile(path); string(now) != content || err != nil {
					t.Errorf("it holds %q, %v", now, err)
				}
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("its mode: %v, %v", info, err)
			}
			// What can't be replaced stays, and nothing else does.
			folder := filepath.Join(dir, "folder")
			if err := os.MkdirAll(filepath.Join(folder, "full"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := Replace(folder, []byte("x"), durable); err == nil {
				t.Error("a folder was replaced")
			}
			only(t, dir, "file", "folder")
		})
	}
}

func TestInstallNew(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	write := func(path, content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	holds := func(content string) {
		t.Helper()
		only(t, dir, "to")
		if now, err := os.ReadFile(to); string(now) != content || err != nil {
			t.Errorf("it holds %q, %v", now, err)
		}
	}
	write(from, "first")
	if err := InstallNew(from, to); err != nil {
		t.Fatal(err)
	}
	holds("first")
	write(from, "second")
	if err := InstallNew(from, to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("where a file is: %v", err)
	}
	holds("first")

	// Also what leads nowhere has the name.
	if err := errors.Join(os.Remove(to), os.Symlink("nowhere", to)); err != nil {
		t.Fatal(err)
	}
	write(from, "third")
	if err := InstallNew(from, to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("where a link is: %v", err)
	}
	only(t, dir, "to")

	// What can't be installed isn't left.
	write(from, "fourth")
	if err := InstallNew(from, filepath.Join(dir, "nowhere", "to")); err == nil {
		t.Error("installed in no folder")
	}
	only(t, dir, "to")
}

// However many want a name at once, one gets it.
func TestInstallNewIsFirstComeFirstServed(t *testing.T) {
	dir := t.TempDir()
	to := filepath.Join(dir, "to")
	won := make(chan string, 50)
	var ready, all sync.WaitGroup
	ready.Add(cap(won))
	for i := range cap(won) {
		all.Go(func() {
			from := filepath.Join(dir, strconv.Itoa(i))
			if err := os.WriteFile(from, []byte(from), 0o600); err != nil {
				t.Error(err)
			}
			ready.Done()
			ready.Wait() // so that all of them come at once
			switch err := InstallNew(from, to); {
			case err == nil:
				won <- from
			case !errors.Is(err, fs.ErrExist):
				t.Error(err)
			}
		})
	}
	all.Wait()
	close(won)
	if len(won) != 1 {
		t.Fatalf("%d have the name", len(won))
	}
	only(t, dir, "to")
	if now, err := os.ReadFile(to); err != nil || string(now) != <-won {
		t.Errorf("%q, %v", now, err)
	}
}

// only is the check that a folder has these names and no others.
func only(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(names) {
		t.Fatalf("%v, %v, want %v", entries, err, names)
	}
	for i, entry := range entries {
		if entry.Name() != names[i] {
			t.Errorf("there is %s, want %s", entry.Name(), names[i])
		}
	}
}
