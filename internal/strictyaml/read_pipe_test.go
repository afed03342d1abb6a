package strictyaml

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Who follows a file must not wait for somebody to write to a pipe.
func TestReadFileRefusesPipe(t *testing.T) {
	name := filepath.Join(t.TempDir(), "policy.yaml")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(name); err == nil || !strings.Contains(err.Error(), "named pipe") {
		t.Fatalf("got %v", err)
	}
}
