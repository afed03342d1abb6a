package main

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	titles   = regexp.MustCompile("(?m)^#{1,6} (.*)$")
	leads    = regexp.MustCompile(`\]\(([^)\s#]*)#([^)\s]+)\)`)
	anyFence = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	// What a heading's anchor leaves out of it.
	unlinked = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// anchorsOf returns the anchors that the headings of a document have where it is
// shown.
func anchorsOf(t *testing.T, name string) map[string]bool {
	t.Helper()
	anchors := map[string]bool{}
	for _, h := range titles.FindAllStringSubmatch(anyFence.ReplaceAllString(readDocument(t, name), ""), -1) {
		anchors[strings.ReplaceAll(unlinked.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-")] = true
	}
	return anchors
}

// TestDocsAnchors follows the links that lead into the midst of a document.
func TestDocsAnchors(t *testing.T) {
	followed := 0
	for _, name := range append(documents(t), "ARCHITECTURE.md", "CHANGELOG.md") {
		for _, link := range leads.FindAllStringSubmatch(readDocument(t, name), -1) {
			if strings.Contains(link[1], "://") {
				continue
			}
			to := name
			if link[1] != "" {
				to = path.Join(path.Dir(name), link[1])
			}
			followed++
			if path.Ext(to) == ".md" && !anchorsOf(t, to)[link[2]] {
				t.Errorf("%s leads to %s#%s, and there is no such heading", name, to, link[2])
			}
		}
	}
	if followed < 30 {
		t.Errorf("only %d links were followed", followed)
	}
}

// TestDocsContents: who reads README.md finds every document.
func TestDocsContents(t *testing.T) {
	readme := readDocument(t, "README.md")
	for _, name := range documents(t) {
		if name != "README.md" && !strings.Contains(readme, "]("+name+")") {
			t.Errorf("README.md doesn't lead to %s: name it under The way on", name)
		}
	}
}

var (
	namesTest = regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w+)`")
	isTest    = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w+)\(`)
)

// TestDocsSecurity: each test that the threat model rests on is there.
func TestDocsSecurity(t *testing.T) {
	there := map[string]bool{}
	err := filepath.WalkDir(docsRoot, func(name string, entry os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		source, err := os.ReadFile(name)
		for _, found := range isTest.FindAllSubmatch(source, -1) {
			there[string(found[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := namesTest.FindAllStringSubmatch(readDocument(t, "docs/security.md"), -1)
	for _, found := range named {
		if !there[found[1]] {
			t.Errorf("docs/security.md rests on %s, which isn't there", found[1])
		}
	}
	if len(named) < 30 {
		t.Errorf("only %d tests are named in docs/security.md", len(named))
	}
}
