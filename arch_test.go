// The rules in this folder's tests are about the tree as a whole: who may import whom, and what every source file is held to.
package latchkey_test

import (
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/latchkey/latchkey"

type importRule struct {
	pkg     string
	imports []string
	reason  string
}

// mayImport says which packages of ours each of our packages may import, outside its tests. A package without a row is an
// error: whoever adds one decides where it stands. The first row that fits counts. Patterns are those of matches.
var mayImport = []importRule{
	{"proto/...", []string{"proto/..."}, "generated"},

	{"key", []string{"internal/alias", "proto/latchkey/key/v1"}, "the vocabulary: everybody speaks it, so it knows nobody"},
	{"directory", []string{"internal/alias", "proto/latchkey/directory/v1"}, "a vocabulary, like key"},

	{"policy", []string{"key", "directory", "proto/latchkey/policy/v1"}, "what is true of an API; it neither keeps keys nor reads files"},
	{"storage", []string{"internal/disk", "key", "directory", "storage/boltfile", "storage/boltguard", "storage/table", "storage/watermark", "internal/alias", "proto/..."}, "carries the policy as bytes and never reads it"},
	{"storage/table", []string{"internal/alias"}, "finds bytes by name, whatever they say"},
	{"storage/boltfile", nil, "reads pages, whatever is in them"},
	{"storage/boltguard", []string{"storage/boltfile"}, "keeps bbolt from what it would make of a damaged file, whatever is in it"},
	{"storage/tally", []string{"internal/disk", "key", "storage/boltfile", "storage/boltguard", "proto/..."}, "keeps counts by digest; whose the digests are it is told"},
	{"storage/watermark", []string{"internal/disk", "proto/..."}, "remembers what the store tells it, and is told by nobody else"},
	{"storage/storagetest", []string{"storage", "key", "directory", "proto/..."}, "a real store for other packages' tests"},

	{"key/mint", []string{"key"}, "makes tokens, apart from those who only check them"},
	{"replica", []string{"internal/disk", "storage", "storage/tally", "proto/..."}, "moves a store from hub to replicas, whatever it says"},

	{"policyfile", []string{"policy", "key", "directory", "internal/strictyaml", "proto/..."}, "the form that people write; only tools and hubs link it"},
	{"authz", []string{"key", "directory", "policy", "internal/alias", "proto/..."}, "meets storage only through its own small interface, so a decision needs no disk"},
	{"envoyconf", []string{"policy", "internal/serve"}, "what Envoy is told follows from what policies read; it neither reads their files nor speaks to Envoy"},
	{"envoyconf/lint/linttest", nil, "dangerous configurations, for whoever tests with them"},
	{"envoyconf/lint", []string{"envoyconf", "internal/strictyaml"}, "judges what others wrote by what policies read"},
	{"admin", []string{"key", "key/mint", "directory", "policy", "policyfile", "storage", "storage/tally", "internal/link", "internal/plural", "proto/..."}, "decides apart from the store; of storage it knows what a change and a view are, and asks for the rest by its own interface"},

	{"usage", []string{"authz", "key", "policy", "storage/tally", "proto/..."}, "is told of checks, and keeps what came of them; the check doesn't know it"},

	{"decisionlog", []string{"authz", "policy", "key", "internal/serve", "proto/latchkey/config/v1"}, "sees what was answered, and knows nothing of where keys are kept"},
	{"tracing", []string{"authz", "internal/serve", "proto/latchkey/config/v1"}, "sees what was answered, like decisionlog"},
	{"observe", []string{"authz", "decisionlog", "tracing", "internal/serve", "proto/latchkey/config/v1"}, "what both processes tell of checks, put together once"},

	{"internal/link", []string{"internal/disk", "internal/serve", "proto/latchkey/config/v1"}, "who is at the other end, whatever is asked over the link; every binary has it"},
	{"internal/link/linktest", []string{"proto/latchkey/config/v1"}, "certificates for other packages' tests"},
	{"admin/ledgertest", []string{"admin", "storage", "key", "directory", "proto/latchkey/log/v1"}, "what every ledger owes to admin, as a test"},

	{"internal/oracle", nil, "an opinion of its own about the four systems; with code of ours in it, it would share our mistakes"},
	{"internal/...", []string{"internal/...", "proto/..."}, "serves the packages above and must not know them"},

	{"examples", nil, "files, and a name for each"},

	{"cmd/latchkey-sidecar", []string{"authz", "policy", "replica", "storage", "usage", "observe", "internal/disk", "internal/link", "internal/plural", "internal/reload", "internal/serve", "internal/strictyaml", "proto/latchkey/config/v1"}, "checks and follows, and can do no more"},
	{"cmd/...", []string{"..."}, "mains put the parts together"},
	{"e2e/...", []string{"..."}, "stories through real binaries"},
	{"bench/load", nil, "sends bytes and times answers, whoever is asked"},
	{"bench/proc", nil, "starts, ends and measures processes, whatever they are"},
	{"bench/stock", []string{"key", "directory", "storage"}, "the store that is measured with"},
	{"bench", []string{"..."}, "a main that runs the others and the product"},
	{"bench/fleet", []string{"bench/load", "bench/proc", "bench/stock", "examples", "internal/envoytest", "internal/freeport", "internal/link/linktest", "proto/..."}, "a main that runs hubs and sidecars, and plays the other replicas by the protocol alone"},
}

// onlyIn says who alone may import a package, ours or not, outside tests.
var onlyIn = []struct {
	imported string
	by       []string
	reason   string
}{
	{"github.com/envoyproxy/go-control-plane/...", []string{"authz", "internal/envoytest", "e2e/...", "bench/..."}, "one package knows Envoy's protocol; those that play Envoy or measure it speak it too"},
	{"go.etcd.io/bbolt/...", []string{"storage/..."}, "one package knows the file"},
	{"cel.dev/...", []string{"policyfile"}, "rules are compiled where policies are read"},
	{"github.com/google/cel-go/...", []string{"policyfile"}, "moved to cel.dev/cel-go"},
	{"go.yaml.in/...", []string{"internal/strictyaml", "policyfile"}, "every YAML file is read strictly, by one reader"},
	{"gopkg.in/yaml.v3", nil, "moved to go.yaml.in/yaml/v3"},
	{"google.golang.org/grpc/status", []string{"authz", "admin", "replica", "internal/serve", "internal/envoytest", "proto/..."}, "errors are values until they leave the process"},
	{"google.golang.org/grpc/codes", []string{"authz", "admin", "replica", "internal/serve", "internal/envoytest", "proto/..."}, "errors are values until they leave the process"},
	{"connectrpc.com/...", []string{"admin", "cmd/latchkey", "proto/..."}, "the admin API is the only thing that speaks Connect"},
	{"github.com/spf13/...", []string{"cmd/...", "internal/reference"}, "flags belong to mains; the reference of commands is written of them"},
	{"go.opentelemetry.io/...", []string{"tracing"}, "one package knows how spans are made and sent"},
	{"golang.org/x/term", []string{"cmd/latchkey"}, "only the command line has people in front of it"},
	{"github.com/spiffe/...", []string{"internal/link"}, "one package says who a certificate is of"},
	{"net/http/pprof", []string{"cmd/...", "internal/serve"}, "registers itself on the default mux, which nothing here serves"},
	{"unsafe", []string{"internal/alias", "internal/faults", "proto/..."}, "memory safety; text that isn't copied, the kernel's own structures, and what is generated"},
	{"testing", []string{"internal/envoytest", "storage/storagetest", "internal/link/linktest", "admin/ledgertest"}, "test helpers live apart from what ships"},
	{module + "/admin", []string{"cmd/latchkey", "admin/ledgertest"}, "managing keys is reachable from one main alone"},
	{module + "/envoyconf/...", []string{"cmd/latchkey", "envoyconf/..."}, "a tool for who sets up Envoy; no check needs it"},
	{module + "/key/mint", []string{"admin", "cmd/latchkey"}, "who can't make tokens can't be made to"},
}

// never says what a package may not import at all, its tests aside.
var never = []struct {
	pkg      string
	imported []string
	reason   string
}{
	{"key", []string{"net/...", "os/...", "io/fs", "math/rand/...", "google.golang.org/grpc/..."}, "no I/O, and no randomness but crypto/rand"},
	{"directory", []string{"net/...", "os/...", "io/fs", "google.golang.org/grpc/..."}, "no I/O"},
	{"policy", []string{"net/url", "os/...", "google.golang.org/grpc/..."}, "a path is never parsed as a URI: two parsers, two opinions"},
	{"authz", []string{"net/url", "os/..."}, "a path is never parsed as a URI: two parsers, two opinions"},
	{"...", []string{"log"}, "log/slog is the one log"},
}

func TestImportsPointDownwards(t *testing.T) {
	used := map[int]bool{}
	for _, pkg := range packages(t) {
		row := slices.IndexFunc(mayImport, func(r importRule) bool { return matches(r.pkg, pkg.name) })
		if row < 0 {
			t.Errorf("%s: no row of mayImport says what this package may import: add one", pkg.name)
			continue
		}
		rule := mayImport[row]
		used[row] = true
		for imported, file := range pkg.imports {
			name, ours := strings.CutPrefix(imported, module+"/")
			if ours && !matchesAny(rule.imports, name) {
				t.Errorf("%s imports %s: %s may import only %v (%s)", file, name, pkg.name, rule.imports, rule.reason)
			}
		}
	}
	for i, rule := range mayImport {
		if !used[i] {
			t.Errorf("mayImport: there is no package %s: take its row out", rule.pkg)
		}
	}
}

func TestImportsOfOnePlace(t *testing.T) {
	for _, pkg := range packages(t) {
		for imported, file := range pkg.imports {
			for _, rule := range onlyIn {
				if matches(rule.imported, imported) && !matchesAny(rule.by, pkg.name) {
					t.Errorf("%s imports %s: only %v may (%s)", file, imported, rule.by, rule.reason)
				}
			}
			for _, rule := range never {
				if matches(rule.pkg, pkg.name) && matchesAny(rule.imported, imported) && !strings.HasPrefix(pkg.name, "proto/") {
					t.Errorf("%s imports %s: %s may not (%s)", file, imported, pkg.name, rule.reason)
				}
			}
		}
	}
}

// What the pod's binary links, by way of whatever else: nothing that manages keys, makes tokens or runs rules.
func TestTheSidecarLinksNoManagement(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "./cmd/latchkey-sidecar").Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := strings.Fields(string(out))
	if len(linked) < 100 {
		t.Fatalf("it links %d packages, which can't be all", len(linked))
	}
	for _, pkg := range linked {
		if matchesAny([]string{
			module + "/admin/...", module + "/policyfile/...", module + "/key/mint/...", module + "/proto/latchkey/admin/...",
			"cel.dev/...", "github.com/google/cel-go/...", "connectrpc.com/...", "go.etcd.io/etcd/...",
		}, pkg) {
			t.Errorf("latchkey-sidecar links %s", pkg)
		}
	}
}

// matches reports whether an import path fits a pattern: itself, or, with "/..." at its end, itself and all below it.
func matches(pattern, name string) bool {
	if parent, ok := strings.CutSuffix(pattern, "..."); ok {
		return parent == "" || name == path.Clean(parent) || strings.HasPrefix(name, parent)
	}
	return pattern == name
}

func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return matches(pattern, name) })
}
