package serve

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// changes returns a channel that gets the content of a file at every call.
func changes(t *testing.T, file string, watched ...string) <-chan string {
	t.Helper()
	w, err := NewWatcher(t.Context(), discard(), watched...)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 100)
	start(t, func(ctx context.Context) error {
		return w.Run(ctx, func(context.Context) {
			content, err := os.ReadFile(file)
			if err == nil {
				seen <- string(content)
			}
		})
	})
	return seen
}

func waitFor(t *testing.T, seen <-chan string, want string) {
	t.Helper()
	// Before files would be polled.
	deadline := time.After(pollTime * 9 / 10)
	for {
		select {
		case got := <-seen:
			if got == want {
				return
			}
		case <-deadline:
			t.Fatalf("no notification of %q", want)
		}
	}
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWatchSeesFilesChange(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "policy.yaml")
	write(t, file, "one")
	seen := changes(t, file, file)

	write(t, file, "two")
	waitFor(t, seen, "two")

	other := filepath.Join(dir, ".policy.yaml.swp")
	write(t, other, "three")
	if err := os.Rename(other, file); err != nil {
		t.Fatal(err)
	}
	waitFor(t, seen, "three")
}

// The kubelet points a link to another folder; the files themselves are links
// through it and don't change.
func TestWatchSeesLinksSwap(t *testing.T) {
	dir := t.TempDir()
	for _, version := range []string{"..one", "..two"} {
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, version, "policy.yaml"), version)
	}
	link := func(from, to string) {
		t.Helper()
		if err := os.Symlink(from, to); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "policy.yaml")
	link("..one", filepath.Join(dir, "..data"))
	link(filepath.Join("..data", "policy.yaml"), file)
	seen := changes(t, file, dir)

	link("..two", filepath.Join(dir, "..data_tmp"))
	if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	waitFor(t, seen, "..two")
}

func TestWatchSeesAFileThatAppears(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy.yaml")
	seen := changes(t, file, file)
	write(t, file, "here")
	waitFor(t, seen, "here")
}

// A folder may be a link that is pointed at another folder, or be replaced.
func TestWatchSeesFoldersSwap(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "current")
	release := func(name string) string {
		t.Helper()
		made := filepath.Join(dir, name)
		if err := os.Mkdir(made, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(made, "policy.yaml"), name)
		return made
	}
	swap := func(to string) {
		t.Helper()
		if err := os.Symlink(to, folder+".next"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(folder+".next", folder); err != nil {
			t.Fatal(err)
		}
	}
	swap(release("one"))
	file := filepath.Join(folder, "policy.yaml")
	seen := changes(t, file, folder)
	two := release("two")
	swap(two)
	waitFor(t, seen, "two")
	// What happens in the folder behind the link is seen from now on.
	write(t, filepath.Join(two, "policy.yaml"), "three")
	waitFor(t, seen, "three")
}

func TestWatchOtherFiles(t *testing.T) {
	one, two := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "a")
	w, err := NewWatcher(t.Context(), discard(), one)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 100)
	start(t, func(ctx context.Context) error {
		return w.Run(ctx, func(context.Context) {
			content, _ := os.ReadFile(two) // not there yet
			seen <- string(content)
		})
	})
	w.Watch(t.Context(), two)
	write(t, two, "now")
	waitFor(t, seen, "now")
}
