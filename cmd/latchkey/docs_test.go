package main

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/internal/envoytest"
)

// standIns are the commands of documents that the test doesn't run as they are
// typed, each with what it runs instead. Every row must be used: a document that
// changes takes its rows along.
var standIns = []struct {
	document, typed string
	recipe          string // line of the Makefile that it stands for
	instead         string // typed instead; empty: nothing
	serves          bool   // until Ctrl-C, so it is ended once it answers
	reason          string
}{
	{
		document: "README.md", typed: "make demo", recipe: "\tgo run ./cmd/latchkey demo", instead: "latchkey demo --once",
		reason: "the demonstration goes on until Ctrl-C",
	},
	{
		document: "README.md", typed: "make test", recipe: "test:",
		reason: "this test is part of it",
	},
	{
		document: "docs/quickstart.md", typed: "make tools build", recipe: "\tgo build -trimpath ",
		instead: `mkdir bin && cp "$(command -v latchkey)" bin/`,
		reason:  "it builds in the checkout what the test has built already",
	},
	{document: "docs/check.md", typed: "envoy -c examples/kodey/envoy.yaml", serves: true},
	{document: "examples/cuneiform/README.md", typed: "envoy -c examples/cuneiform/envoy.yaml", serves: true},
	{document: "examples/kodey/README.md", typed: "envoy -c examples/kodey/envoy.yaml", serves: true},
	{document: "examples/shortkit/README.md", typed: "envoy -c examples/shortkit/envoy.yaml", serves: true},
	{document: "examples/spotzee/README.md", typed: "envoy -c examples/spotzee/envoy.yaml", serves: true},
}

// TestDocs types the commands of each document, in order, into one shell, as
// somebody would who reads it for the first time, and compares what they print
// with what the document shows.
func TestDocs(t *testing.T) {
	if testing.Short() {
		t.Skip("the scripts start the same processes; without -short the documents are run too")
	}
	used := make([]bool, len(standIns))
	total, run := 0, 0
	makefile := strings.Split(readDocument(t, "Makefile"), "\n")
	for _, name := range documents(t) {
		blocks, err := blocksOf(readDocument(t, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var commands []command
		for _, b := range blocks {
			if b.kind == "sh" {
				commands = append(commands, commandsOf(b.text)...)
			}
		}
		for i, in := range standIns {
			if in.document == name {
				used[i] = slices.ContainsFunc(commands, func(c command) bool { return c.text == in.typed })
			}
			if !slices.ContainsFunc(makefile, func(line string) bool { return strings.HasPrefix(line, in.recipe) }) {
				t.Fatalf("the Makefile has no line %q any more, for which %q stands", in.recipe, in.typed)
			}
		}
		if len(commands) == 0 {
			continue
		}
		waitsForWhatItStarts(t, name, commands)
		t.Run(name, func(t *testing.T) {
			runDocument(t, name, blocks)
			if !t.Failed() && !t.Skipped() {
				total, run = total+len(commands), run+1
				t.Logf("%s: %d commands", name, len(commands))
			}
		})
	}
	t.Logf("%d commands of %d documents were run", total, run)
	for i, in := range standIns {
		if !used[i] {
			t.Errorf("%s has no command %q any more: take its row out of standIns", in.document, in.typed)
		}
	}
}

// waitsForWhatItStarts: what a document starts in the background it waits for in
// its next command, as a reader has to.
func waitsForWhatItStarts(t *testing.T, name string, commands []command) {
	t.Helper()
	for i, c := range commands {
		rest := commands[i+1:]
		if len(rest) > 0 && strings.HasSuffix(rest[0].text, "=$!") {
			rest = rest[1:]
		}
		if c.background && (len(rest) == 0 || !strings.HasPrefix(rest[0].text, "until ")) {
			t.Errorf("%s doesn't wait for `%s`: add `until latchkey status >/dev/null 2>&1; do sleep 0.2; done`, or the like", name, c.text)
		}
	}
}

func runDocument(t *testing.T, name string, blocks []block) {
	for _, program := range []string{"openssl", "curl"} {
		if _, err := exec.LookPath(program); err != nil && strings.Contains(readDocument(t, name), "\n"+program+" ") {
			t.Skipf("there is no %s, which the document calls", program)
		}
	}
	s := newShell(t)
	printed := ""
	for _, b := range blocks {
		switch b.kind {
		case "file":
			if err := os.WriteFile(filepath.Join(s.dir, b.file), []byte(s.here(b.text)), 0o600); err != nil {
				t.Fatal(err)
			}
		case "sh":
			printed = ""
			for _, c := range commandsOf(b.text) {
				c.text = s.here(c.text)
				printed += runCommand(t, s, name, c)
			}
		case "yaml serve", "yaml sidecar":
			if err := b.configures(); err != nil {
				t.Errorf("%s:%d: %v", name, b.line, err)
			}
		default:
			if err := b.prints(printed); err != nil {
				t.Errorf("%s:%d: %v", name, b.line, err)
			}
		}
	}
	s.end()
}

// runCommand runs a command of a document and returns what it printed.
func runCommand(t *testing.T, s *shell, document string, c command) string {
	t.Helper()
	c = inCluster(t, c)
	for _, in := range standIns {
		if in.document != document || in.typed != c.text {
			continue
		}
		if in.serves {
			needEnvoy(t, s)
			return s.untilInterrupted(c.text)
		}
		if in.instead == "" {
			return ""
		}
		if strings.Contains(in.instead, "demo") {
			needEnvoy(t, s)
		}
		c.text = in.instead
	}
	if c.background && strings.HasPrefix(c.text, "envoy ") {
		needEnvoy(t, s)
		s.proxyJob(c.text)
		return ""
	}
	if c.background {
		if !strings.HasPrefix(c.text, "latchkey serve ") && !sidecarData.MatchString(c.text) {
			t.Fatalf("%s: how can be told that `%s` is ready? Only latchkey serve, latchkey-sidecar with --data, and envoy run in the background", document, c.text)
		}
		s.job(c.text)
		return ""
	}
	stdout, stderr, code := s.typed(c.text)
	if code != c.code {
		t.Fatalf("%s: %s: exit code %d, want %d\n%s%s", document, c.text, code, c.code, stdout, stderr)
	}
	return stdout
}

// needEnvoy fails the test where there is no Envoy, with what to do.
func needEnvoy(t *testing.T, s *shell) {
	t.Helper()
	if _, err := envoytest.Find(); err != nil {
		s.end()
		t.Fatal(err)
	}
}

var (
	linked = regexp.MustCompile(`\]\(([^)#]+)(?:#[^)]*)?\)`)
	quoted = regexp.MustCompile("`([A-Za-z0-9_./*{},-]+)`")
	// What looks like a file of the tree: a path, or a name with one of these ends.
	pathlike = regexp.MustCompile(`^[a-z0-9_.-]+(/[A-Za-z0-9_.*-]*)+$|^[A-Za-z0-9_-]+\.(go|md|proto)$`)
)

// TestDocsLinks follows the links between the documents.
func TestDocsLinks(t *testing.T) {
	for _, name := range append(documents(t), "ARCHITECTURE.md", "CHANGELOG.md") {
		for _, found := range linked.FindAllStringSubmatch(readDocument(t, name), -1) {
			if strings.Contains(found[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(docsRoot, path.Dir(name), found[1])); err != nil {
				t.Errorf("%s leads to %s, which isn't there", name, found[1])
			}
		}
	}
}

// notThere are paths that ARCHITECTURE.md writes down for something else.
var notThere = []string{"cmd/latchkey/NOUN_VERB.go"}

// TestDocsArchitecture compares ARCHITECTURE.md with the tree: every file and
// package that it names is there, and its table has every package.
func TestDocsArchitecture(t *testing.T) {
	text := readDocument(t, "ARCHITECTURE.md")
	named := 0
	for _, found := range quoted.FindAllStringSubmatch(text, -1) {
		name := found[1]
		if !pathlike.MatchString(name) || slices.Contains(notThere, name) {
			continue
		}
		named++
		if files, err := filepath.Glob(filepath.Join(docsRoot, name)); err != nil || len(files) == 0 {
			t.Errorf("ARCHITECTURE.md names %s, which isn't there", name)
		}
	}
	if named < 20 {
		t.Errorf("only %d paths found in ARCHITECTURE.md", named)
	}
	for _, name := range notThere {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("ARCHITECTURE.md no longer names %s: take it out of notThere", name)
		}
	}
	for _, folder := range packageFolders(t) {
		if !strings.Contains(text, "`"+folder+"`") && !strings.HasPrefix(folder, "proto/") {
			t.Errorf("ARCHITECTURE.md doesn't name the package %s: add it to the table", folder)
		}
	}
}

// packageFolders returns the folders with Go files, relative to the root.
func packageFolders(t *testing.T) (folders []string) {
	t.Helper()
	err := filepath.WalkDir(docsRoot, func(name string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && name != docsRoot && strings.HasPrefix(entry.Name(), ".") {
			return filepath.SkipDir
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		folder, err := filepath.Rel(docsRoot, filepath.Dir(name))
		if err == nil && folder != "." && !slices.Contains(folders, filepath.ToSlash(folder)) {
			folders = append(folders, filepath.ToSlash(folder))
		}
		return err
	})
	if err != nil || len(folders) < 10 {
		t.Fatalf("%d packages found: %v", len(folders), err)
	}
	return folders
}
