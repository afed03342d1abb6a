package latchkey_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// maxLines is where a file surely holds a second subject.
const maxLines = 500

// goFile is one parsed source file. Its name is relative to the root.
type goFile struct {
	name      string
	source    []byte
	set       *token.FileSet
	tree      *ast.File
	generated bool
}

func (f goFile) isTest() bool { return strings.HasSuffix(f.name, "_test.go") }

func (f goFile) place(n ast.Node) string {
	return f.name + ":" + strconv.Itoa(f.set.Position(n.Pos()).Line)
}

// goPackage is one folder of Go, its tests left out.
type goPackage struct {
	name    string            // relative to the module: "authz", "internal/oracle"
	imports map[string]string // import path to a file that imports it
	files   []goFile
}

// sources returns every file of the tree that people write or commit. Opened by this process itself, so that a cached test
// result is not taken for true after one of them has changed.
func sources(t *testing.T) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := entry.Name()
		if entry.IsDir() && name != "." && name != ".ci" && (strings.HasPrefix(base, ".") || base == "bin" || base == "latchkey-data") {
			return fs.SkipDir
		}
		if entry.Type().IsRegular() {
			names = append(names, filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func goFiles(t *testing.T) []goFile {
	t.Helper()
	var files []goFile
	for _, name := range sources(t) {
		if path.Ext(name) != ".go" || strings.Contains(name, "testdata/") {
			continue
		}
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, name, source, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, goFile{name: name, source: source, set: set, tree: tree, generated: ast.IsGenerated(tree)})
	}
	return files
}

func packages(t *testing.T) map[string]*goPackage {
	t.Helper()
	pkgs := map[string]*goPackage{}
	for _, f := range goFiles(t) {
		if f.isTest() {
			continue
		}
		name := path.Dir(f.name)
		pkg := pkgs[name]
		if pkg == nil {
			pkg = &goPackage{name: name, imports: map[string]string{}}
			pkgs[name] = pkg
		}
		pkg.files = append(pkg.files, f)
		for _, spec := range f.tree.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			pkg.imports[imported] = f.place(spec)
		}
	}
	if len(pkgs) == 0 {
		t.Fatal("no Go packages found: is this run in the root of the module?")
	}
	return pkgs
}

func TestEveryPackageHasOneComment(t *testing.T) {
	for _, pkg := range packages(t) {
		var with []string
		written := false
		for _, f := range pkg.files {
			if f.generated {
				continue
			}
			written = true
			if f.tree.Doc == nil {
				continue
			}
			with = append(with, f.name)
			want := "Package " + f.tree.Name.Name + " "
			if f.tree.Name.Name == "main" {
				want = "Command " + path.Base(pkg.name) + " "
			}
			if !strings.HasPrefix(strings.ReplaceAll(f.tree.Doc.Text(), "\n", " "), want) {
				t.Errorf("%s: the package comment must begin with %q", f.name, want)
			}
		}
		if written && len(with) != 1 {
			t.Errorf("%s: want one package comment, in one file, have %d: %v", pkg.name, len(with), with)
		}
	}
}

func TestGoFilesAreSmall(t *testing.T) {
	for _, f := range goFiles(t) {
		if lines := bytes.Count(f.source, []byte("\n")); lines >= maxLines && !f.generated {
			t.Errorf("%s has %d lines, the limit is %d: cut it where its second subject begins", f.name, lines, maxLines)
		}
	}
}

// A sleep hopes that something has happened by then. Within synctest.Test time is not real, and sleeping there is exact.
func TestNoTestSleeps(t *testing.T) {
	for _, f := range goFiles(t) {
		if !f.isTest() {
			continue
		}
		ast.Inspect(f.tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				return !isSelector(n.Fun, "synctest", "Test")
			case *ast.SelectorExpr:
				if isSelector(n, "time", "Sleep") {
					t.Errorf("%s: a test waits by time.Sleep: poll a condition with a deadline, or wait for an event", f.place(n))
				}
			}
			return true
		})
	}
}

func isSelector(expr ast.Expr, pkg, name string) bool {
	sel, ok := expr.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == pkg && sel.Sel.Name == name
}

// Put together here, so that this file does not find itself.
var (
	unfinished   = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)
	machinePaths = regexp.MustCompile(`(^|[\s"'=(,:` + "`" + `])/(ho` + `me|Us` + `ers|ro` + `ot|wo` + `rk)/[\w.]+`)
)

func TestNothingUnfinishedOrOfOneMachine(t *testing.T) {
	text := map[string]bool{
		".go": true, ".proto": true, ".yaml": true, ".yml": true, ".json": true, ".md": true, ".sh": true, ".mod": true,
		".txt": true, ".txtar": true, ".conf": true, ".in": true, "": true, // Makefile, Dockerfile, .ci/run
	}
	generated := map[string]bool{}
	for _, f := range goFiles(t) {
		generated[f.name] = f.generated
	}
	for _, name := range sources(t) {
		// Fuzz corpora are whatever a fuzzer came upon.
		if !text[path.Ext(name)] || generated[name] || strings.Contains(name, "testdata/fuzz/") {
			continue
		}
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(source), "\n") {
			if found := unfinished.FindString(line); found != "" {
				t.Errorf("%s:%d: %s: finish it, or write down what is wanted where plans are kept", name, i+1, found)
			}
			if found := machinePaths.FindString(line); found != "" {
				t.Errorf("%s:%d: %s is a path of one machine", name, i+1, found)
			}
		}
	}
}
