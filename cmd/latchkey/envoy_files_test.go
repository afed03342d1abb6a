package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The configurations in the tree are what the command prints that stands in their first lines.
func TestEnvoyFilesAreAsPrinted(t *testing.T) {
	t.Chdir(docsRoot)
	files, err := filepath.Glob("examples/*/envoy.yaml")
	if err != nil || len(files) != 4 {
		t.Fatalf("%d examples: %v", len(files), err)
	}
	for _, file := range append(files, "deploy/envoy/envoy.yaml") {
		kept, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, after, _ := strings.Cut(string(kept), "Printed by\n#   latchkey ")
		line, _, ok := strings.Cut(after, "\n")
		if !ok {
			t.Errorf("%s doesn't say by which command it is printed", file)
			continue
		}
		var out, errs bytes.Buffer
		if code := run(strings.Fields(line), strings.NewReader(""), &out, &errs); code != exitDone {
			t.Errorf("%s: latchkey %s: exit code %d\n%s", file, line, code, &errs)
			continue
		}
		if out.String() != string(kept) {
			t.Errorf("%s isn't what its command prints; in the root of the module:\n  latchkey %s > %s", file, line, file)
		}
	}
}
