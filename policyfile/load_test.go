package policyfile

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/internal/strictyaml"
)

var update = flag.Bool("update", false, "write the golden files")

// examples are the policies that come with the product.
func examples(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("../examples/*/policy.yaml")
	if err != nil || len(paths) < 4 {
		t.Fatalf("no examples: %v", paths)
	}
	return paths
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s has changed. Got:\n%s\nwant:\n%s", path, got, want)
	}
}

func TestBrokenPoliciesEarnTheirMessages(t *testing.T) {
	paths, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatal(err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			src, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			loaded, err := Load(filepath.Base(path), src)
			var mistakes strictyaml.Mistakes
			if loaded != nil || !errors.As(err, &mistakes) {
				t.Fatalf("loaded %v, %v", loaded, err)
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".golden", err.Error()+"\n")
		})
	}
}

func TestTheExamplesLoadTogether(t *testing.T) {
	all, err := LoadFiles(examples(t)...)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range all {
		if l.Policy.Name() != l.Doc.GetName() || l.Rules == nil || l.Source == nil {
			t.Errorf("%+v", l)
		}
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	odd := filepath.Join(dir, "a[b]*")
	for _, d := range []string{odd, filepath.Join(dir, "empty")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"b.yaml", "a.yaml", "note.txt"} {
		if err := os.WriteFile(filepath.Join(odd, f), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(odd, "note.txt")
	got, err := Files(odd, file)
	if want := []string{filepath.Join(odd, "a.yaml"), filepath.Join(odd, "b.yaml"), file}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	for path, want := range map[string]string{filepath.Join(dir, "empty"): "holds no *.yaml", filepath.Join(dir, "nowhere"): "no such file"} {
		if _, err := Files(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

// What is hidden or a folder is no policy; a mounted ConfigMap is links through
// a hidden one, and its files are policies.
func TestFilesOfAMount(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"..2030_01_31", "folder.yaml"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"..2030_01_31/kodey.yaml", ".kodey.yaml"} {
		if err := os.WriteFile(filepath.Join(dir, f), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, link := range [][2]string{
		{"..2030_01_31", "..data"},
		{"..data/kodey.yaml", "kodey.yaml"},
		{"somebody@host.1:2", ".#kodey.yaml"},
		{"folder.yaml", "linked.yaml"},
		{"nowhere", "lost.yaml"},
	} {
		if err := os.Symlink(link[0], filepath.Join(dir, link[1])); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Files(dir)
	if want := []string{filepath.Join(dir, "kodey.yaml"), filepath.Join(dir, "lost.yaml")}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	if got, err := Files(filepath.Join(dir, ".kodey.yaml")); err != nil || len(got) != 1 {
		t.Errorf("a hidden file that is named: %v, %v", got, err)
	}
}

func TestPoliciesThatClash(t *testing.T) {
	dir := t.TempDir()
	one := "name: one\nhosts: [a.example]\ntenants: [team]\nscopes: [s]\nkey_types: {k: {format: \"k_{secret:30}\", owner: team, scopes: [s]}}\nendpoints: {E: {scopes: [s], routes: [GET /e]}}\n"
	two := strings.Replace(one, "hosts: [a.example]", "hosts: [b.example, a.example]", 1)
	for name, src := range map[string]string{"1.yaml": one, "2.yaml": two, "3.yaml": strings.Replace(one, "name: one", "nam: three", 1)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(src), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_, err := LoadFiles(dir)
	var mistakes strictyaml.Mistakes
	if !errors.As(err, &mistakes) || len(mistakes) != 3 {
		t.Fatalf("got %v", err)
	}
	for i, want := range []string{"2.yaml:1:7: the policy of ", "2.yaml:2:20: the policy \"one\" in ", "3.yaml:1:1: unknown field \"nam\""} {
		if !strings.Contains(mistakes[i].String(), want) {
			t.Errorf("got %s, want %s", mistakes[i], want)
		}
	}
}
