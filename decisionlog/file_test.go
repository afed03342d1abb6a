package decisionlog

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// write writes numbered lines of 100 bytes, each by itself.
func write(tb testing.TB, w *file, from, to int) {
	tb.Helper()
	for i := from; i < to; i++ {
		if n, err := w.Write(numbered(i)); err != nil || n != 100 {
			tb.Fatalf("line %d: %d, %v", i, n, err)
		}
	}
}

func numbered(i int) []byte { return fmt.Appendf(nil, "%-99d\n", i) }

// numbers are the lines of a file, in order.
func numbers(tb testing.TB, path string) (all []int) {
	tb.Helper()
	for _, line := range linesOf(tb, path) {
		n := -1
		if _, err := fmt.Sscan(line, &n); err == nil {
			all = append(all, n)
		} else if line != "" {
			tb.Errorf("%s holds the line %q", path, line)
		}
	}
	return all
}

func span(from, to int) (all []int) {
	for i := from; i < to; i++ {
		all = append(all, i)
	}
	return all
}

func TestFilesArePutAside(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "decisions.ndjson")
	// Of a time when more were kept.
	for _, n := range []string{".3", ".4", ".5"} {
		if err := os.WriteFile(path+n, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w, err := openFile(path, 1000, 3)
	if err != nil {
		t.Fatal(err)
	}
	write(t, w, 0, 45)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]int{"": span(40, 45), ".1": span(30, 40), ".2": span(20, 30)} {
		if got := numbers(t, path+name); !slices.Equal(got, want) {
			t.Errorf("%q holds %v, want %v", name, got, want)
		}
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) != 3 {
		t.Errorf("there are %q, %v", files, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// With one file to keep nothing is put aside.
func TestOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "decisions.ndjson")
	w, err := openFile(path, 1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	write(t, w, 0, 25)
	if got := numbers(t, path); !slices.Equal(got, span(20, 25)) {
		t.Errorf("it holds %v", got)
	}
	if files, err := filepath.Glob(path + "*"); err != nil || len(files) != 1 {
		t.Errorf("there are %q, %v", files, err)
	}
}

// A file that can't be put aside doesn't grow instead, and goes on once it can.
func TestAFileThatCantBePutAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "decisions.ndjson")
	inTheWay := filepath.Join(path+".1", "x")
	if err := os.MkdirAll(inTheWay, 0o700); err != nil {
		t.Fatal(err)
	}
	w, err := openFile(path, 1000, 2)
	if err != nil {
		t.Fatal(err)
	}
	write(t, w, 0, 10)
	for range 3 {
		if n, err := w.Write(numbered(10)); err == nil {
			t.Fatalf("%d bytes more than fit were written", n)
		}
	}
	if got := numbers(t, path); !slices.Equal(got, span(0, 10)) {
		t.Errorf("it holds %v", got)
	}
	if err := os.RemoveAll(path + ".1"); err != nil {
		t.Fatal(err)
	}
	write(t, w, 11, 13)
	if got := numbers(t, path); !slices.Equal(got, span(11, 13)) {
		t.Errorf("afterwards it holds %v", got)
	}
}

// TestAFileThatWasMovedAway is begun anew, as logrotate expects, and one that is there is gone on with.
func TestAFileThatWasMovedAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "decisions.ndjson")
	w, err := openFile(path, 100_000, 3)
	if err != nil {
		t.Fatal(err)
	}
	write(t, w, 0, 2)
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	write(t, w, 2, 4)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(t, w, 4, 6)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if w, err = openFile(path, 100_000, 3); err != nil {
		t.Fatal(err)
	}
	write(t, w, 6, 8)
	for name, want := range map[string][]int{"": span(4, 8), ".old": {0, 1}} {
		if got := numbers(t, path+name); !slices.Equal(got, want) {
			t.Errorf("%q holds %v, want %v", name, got, want)
		}
	}
}

// TestALineThatACrashLeftIsEnded before the next one is written.
func TestALineThatACrashLeftIsEnded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "decisions.ndjson")
	if err := os.WriteFile(path, []byte("{\"a\":1}\n{\"b"), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := openFile(path, 100_000, 3)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("{\"c\":3}\n")); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(linesOf(t, path), ""); got != "{\"a\":1}\n{\"b\n{\"c\":3}\n" {
		t.Errorf("it holds %q", got)
	}
}
