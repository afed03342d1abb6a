package disk

import (
	"os"
	"path/filepath"
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
