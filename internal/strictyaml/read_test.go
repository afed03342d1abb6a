package strictyaml

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

// A file without an end is no reason to read without one.
func TestReadFile(t *testing.T) {
	src, err := ReadFile("/dev/zero")
	if err != nil || len(src) != MaxSize+1 {
		t.Errorf("%d bytes, %v", len(src), err)
	}
	if _, err := Decode("zero", src, &policyv1.Policy{}); err == nil || !strings.Contains(err.Error(), "split it") {
		t.Errorf("too large a file: %v", err)
	}
	file := filepath.Join(t.TempDir(), "f.yaml")
	if err := os.WriteFile(file, []byte("name: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if src, err := ReadFile(file); err != nil || string(src) != "name: x\n" {
		t.Errorf("%q, %v", src, err)
	}
	if _, err := ReadFile(file + "x"); !os.IsNotExist(err) {
		t.Errorf("a missing file: %v", err)
	}
}
