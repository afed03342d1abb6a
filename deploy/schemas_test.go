package deploy_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// kubernetes is the version whose schemas count. The tool carries them.
const kubernetes = "1.37.0"

// validate returns what the schemas say is wrong. A field that they don't know is an error, and so is a kind.
func validate(t *testing.T, all []tree) error {
	t.Helper()
	file := filepath.Join(t.TempDir(), "objects.yaml")
	content, err := text(all)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	tool, err := filepath.Abs("../.tools/bin/kubernetes-validate")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(tool); err != nil {
		t.Fatalf("%v: run `make tools`", err)
	}
	out, err := exec.Command(tool, "--strict", "-k", kubernetes, file).CombinedOutput()
	said := strings.ReplaceAll(string(out), file, "objects")
	if err != nil {
		return fmt.Errorf("%w:\n%s", err, said)
	}
	// Of a kind that it has no schema for the tool says so, and ends as if all were well.
	if passed := strings.Count(said, "INFO objects passed for "); passed != len(all) || strings.Count(said, "\n") != len(all) {
		return fmt.Errorf("%d objects of %d passed:\n%s", passed, len(all), said)
	}
	return nil
}
