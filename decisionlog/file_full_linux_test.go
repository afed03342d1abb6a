//go:build amd64 || arm64

package decisionlog

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/latchkey/latchkey/internal/faults"
)

// TestAFullDisk drops whole lines, leaves no part of one, and goes on once there is room.
func TestAFullDisk(t *testing.T) {
	if faults.Apart(t, time.Minute, faults.Isolate) {
		return
	}
	dir := t.TempDir()
	const size = 64 << 10
	faults.GiveUp(faults.Tmpfs(dir, size))
	t.Cleanup(func() { faults.GiveUp(unix.Unmount(dir, unix.MNT_DETACH)) }) // before the folder is removed
	filler, path := filepath.Join(dir, "filler"), filepath.Join(dir, "decisions.ndjson")
	if err := os.WriteFile(filler, make([]byte, size/2), 0o600); err != nil {
		t.Fatal(err)
	}
	l := open(t, Options{Path: path, MaxSize: defaultMaxSize, MaxFiles: 2})
	batch := bytes.Repeat(numbered(1), 100)
	for range 5 {
		l.write(batch)
	}
	written, dropped := count(t, l.written), count(t, l.dropped)
	if written+dropped != 500 || dropped == 0 || written == 0 {
		t.Errorf("%v written, %v dropped", written, dropped)
	}
	if got := len(numbers(t, path)); float64(got) != written {
		t.Errorf("there are %d lines, %v are counted", got, written)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	l.write(batch)
	if got := len(numbers(t, path)); float64(got) != written+100 || count(t, l.dropped) != dropped {
		t.Errorf("with room again there are %d lines of %v", got, written+100)
	}
}
