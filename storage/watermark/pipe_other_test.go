//go:build !unix

package watermark

import (
	"os"
	"testing"
)

// makePipe makes a folder, where files are no pipes.
func makePipe(t *testing.T, path string) {
	t.Helper()
	must(t, os.Mkdir(path, 0o700))
}
