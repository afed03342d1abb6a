package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDocsLogLines: what the document says that is logged, is.
func TestDocsLogLines(t *testing.T) {
	files := map[string][]string{"hub": {"replica/*.go"}, "sidecar": {"replica/*.go", "cmd/latchkey-sidecar/*.go"}}
	for _, row := range tableOf(t, "docs/replication.md", "line of the log") {
		found := false
		for _, pattern := range files[row[1]] {
			names, err := filepath.Glob(filepath.Join(docsRoot, pattern))
			if err != nil || len(names) == 0 {
				t.Fatalf("there are no files %s: %v", pattern, err)
			}
			for _, name := range names {
				source, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				found = found || strings.Contains(string(source), `("`+row[0]) && !strings.HasSuffix(name, "_test.go")
			}
		}
		if !found {
			t.Errorf("docs/replication.md says that a %s logs %q, which no line of its source does", row[1], row[0])
		}
	}
}
