package link

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/latchkey/latchkey/internal/disk"
)

// Who follows files must not wait for somebody to write to a pipe, nor read a device to its end.
func TestReadFileIsBounded(t *testing.T) {
	f := &files{calls: &disk.Calls{}}
	name := filepath.Join(t.TempDir(), "ca.crt")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.readFile(t.Context(), name); err == nil || !strings.Contains(err.Error(), "named pipe") {
		t.Fatalf("a pipe: %v", err)
	}
	if _, err := f.readFile(t.Context(), "/dev/zero"); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Fatalf("/dev/zero: %v", err)
	}
}
