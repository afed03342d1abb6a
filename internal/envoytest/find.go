package envoytest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// ErrNoEnvoy is in the chain of Find's error when there is no Envoy to run.
var ErrNoEnvoy = errors.New("no envoy binary: run `make tools`, or set LATCHKEY_ENVOY to one")

// Find returns the path of an Envoy binary: $LATCHKEY_ENVOY if it is set, else
// .tools/bin/envoy of the Go module around the working directory, else the one on
// PATH. A set but unusable LATCHKEY_ENVOY is an error, never passed over.
func Find() (string, error) {
	if path := os.Getenv("LATCHKEY_ENVOY"); path != "" {
		if err := executable(path); err != nil {
			return "", fmt.Errorf("envoytest: LATCHKEY_ENVOY: %w: %w", err, ErrNoEnvoy)
		}
		return filepath.Abs(path)
	}
	if dir, err := os.Getwd(); err == nil {
		for {
			// A nested module has no tools of its own, so the walk goes on above it.
			tool := filepath.Join(dir, ".tools", "bin", "envoy")
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil && executable(tool) == nil {
				return tool, nil
			}
			parent := filepath.Dir(dir)
			if parent == dir {
				break
			}
			dir = parent
		}
	}
	if path, err := exec.LookPath("envoy"); err == nil {
		return filepath.Abs(path)
	}
	return "", fmt.Errorf("envoytest: %w", ErrNoEnvoy)
}

func executable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
		return fmt.Errorf("%s is not an executable file", path)
	}
	return nil
}

// SocketDir makes a folder whose path is short enough for Unix sockets, which the
// temporary folders of tests often are not. The caller removes it.
func SocketDir() (string, error) {
	return os.MkdirTemp("", "lk")
}
