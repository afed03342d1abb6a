package lint_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/envoyconf"
	"github.com/latchkey/latchkey/envoyconf/lint"
	"github.com/latchkey/latchkey/envoyconf/lint/linttest"
	"github.com/latchkey/latchkey/internal/envoytest"
	"github.com/latchkey/latchkey/internal/serve"
	"github.com/latchkey/latchkey/policyfile"
)

const root = "../.."

// kodey is what `latchkey envoy config` prints for one of the examples, and what its policy reads.
func kodey(t testing.TB) (config string, reads envoyconf.Reads) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "examples/kodey/envoy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := policyfile.LoadFiles(filepath.Join(root, "examples/kodey/policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text), envoyconf.ReadsOf(loaded[0].Policy)
}

func holes(t testing.TB) []linttest.Hole {
	t.Helper()
	all, err := linttest.Holes()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 25 {
		t.Fatalf("only %d holes", len(all))
	}
	return all
}

// Nothing is found in what is printed: for each example, for the pod, and for all four together.
func TestWhatIsPrintedIsClean(t *testing.T) {
	clean := func(name string, text []byte, policies ...string) {
		loaded, err := policyfile.LoadFiles(policies...)
		if err != nil {
			t.Fatal(err)
		}
		var reads envoyconf.Reads
		for _, l := range loaded {
			reads = reads.With(envoyconf.ReadsOf(l.Policy))
		}
		if found, err := lint.File(name, text, &reads); err != nil || len(found) > 0 {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
	policies, err := filepath.Glob(filepath.Join(root, "examples/*/policy.yaml"))
	if err != nil || len(policies) != 4 {
		t.Fatalf("%d examples: %v", len(policies), err)
	}
	files := map[string]string{filepath.Join(root, "deploy/envoy/envoy.yaml"): filepath.Join(root, "deploy/example/hub/notes.yaml")}
	for _, p := range policies {
		files[filepath.Join(filepath.Dir(p), "envoy.yaml")] = p
	}
	for file, p := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		clean(file, text, p)
	}
	c := envoyconf.Config{Name: "all", CheckTimeout: time.Second, Authz: serve.UnixAddress("authz.sock"), Upstream: serve.UnixAddress("api.sock")}
	loaded, err := policyfile.LoadFiles(policies...)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range loaded {
		c.Reads = c.Reads.With(envoyconf.ReadsOf(l.Policy))
	}
	if c.Listen, err = serve.ParseAddress("127.0.0.1:10000"); err != nil {
		t.Fatal(err)
	}
	for _, part := range envoyconf.Parts {
		text, err := envoyconf.Write(c, part)
		if err != nil {
			t.Fatal(err)
		}
		clean(string(part), text, policies...)
	}
}

// told is a finding as a hole's want has it.
func told(f lint.Finding) string {
	return strings.TrimSpace(string(f.Severity) + " " + f.Rule + " " + f.Path)
}

// Each hole is found by its rule at its place, and nothing else is; each rule finds one.
func TestHolesAreFound(t *testing.T) {
	config, reads := kodey(t)
	if found, err := lint.File("envoy.yaml", []byte(config), &reads); err != nil || len(found) > 0 {
		t.Fatalf("in what is printed: %v, %v", found, err)
	}
	unused := map[string]bool{}
	for _, r := range lint.Rules() {
		unused[r.ID] = true
	}
	for _, hole := range holes(t) {
		text, err := hole.Open(config)
		if err != nil {
			t.Error(err)
			continue
		}
		found, err := lint.File("envoy.yaml", []byte(text), &reads)
		if err != nil {
			t.Errorf("%s: %v", hole.Name, err)
		}
		var got []string
		for _, f := range found {
			delete(unused, f.Rule)
			got = append(got, told(f))
			if line := strings.Split(text, "\n")[f.Line-1]; f.Column > len(line) {
				t.Errorf("%s: %s is at column %d of %q", hole.Name, f.Rule, f.Column, line)
			}
		}
		if !slices.Equal(got, hole.Want) {
			t.Errorf("%s: found\n%s\nwant\n%s", hole.Name, strings.Join(got, "\n"), strings.Join(hole.Want, "\n"))
		}
	}
	// A whole configuration has its cluster and the settings of its filter: see TestFragments.
	delete(unused, "cluster-unseen")
	delete(unused, "check-unseen")
	for id := range unused {
		t.Errorf("no hole is for the rule %s: write one", id)
	}
}

// A hole is one that somebody can have: Envoy takes each of the configurations.
func TestHolesAreTaken(t *testing.T) {
	envoy, err := envoytest.Find()
	if err != nil {
		t.Fatal(err)
	}
	config, _ := kodey(t)
	for _, hole := range holes(t) {
		t.Run(hole.Name, func(t *testing.T) {
			t.Parallel()
			text, err := hole.Open(config)
			if err != nil {
				t.Fatal(err)
			}
			validate(t, envoy, text)
		})
	}
}

// validate has Envoy read a configuration.
func validate(t *testing.T, envoy, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "envoy.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(envoy, "--mode", "validate", "--config-path", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
