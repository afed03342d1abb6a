package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/internal/link"
	"github.com/latchkey/latchkey/internal/strictyaml"
	"github.com/latchkey/latchkey/observe"
	configv1 "github.com/latchkey/latchkey/proto/latchkey/config/v1"
)

// docsRoot is where the documents stand.
const docsRoot = "../.."

// documents returns the names of all documents whose commands are run,
// relative to the root.
func documents(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, pattern := range []string{"README.md", "docs/*.md", "examples/*/README.md"} {
		found, err := filepath.Glob(filepath.Join(docsRoot, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("no document is called %s: %v", pattern, err)
		}
		for _, path := range found {
			name, err := filepath.Rel(docsRoot, path)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, filepath.ToSlash(name))
		}
	}
	return names
}

func readDocument(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(docsRoot, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// block is a fenced block of a document.
type block struct {
	line int
	kind string // sh; file; yaml serve or sidecar; text or json, which is what the sh block before it prints
	file string // of a file block: what it is called
	text string
}

var (
	fence = regexp.MustCompile("(?ms)^(?:<!-- file: ([\\w.-]+) -->\n)?( *)```([a-z ]*)\n(.*?)^ *```$")
	// The documentation of the language has examples that its own tests run.
	ofTheLanguage = regexp.MustCompile(`^yaml (policy|fragment|error)$`)
	// A configuration of one of the processes.
	ofProcess = regexp.MustCompile(`^yaml (serve|sidecar)$`)
)

// blocksOf returns what is to be run of a document, in order. A file is a block
// below a comment `<!-- file: NAME -->`; pictures have no kind.
func blocksOf(document string) (all []block, err error) {
	before := ""
	for _, at := range fence.FindAllStringSubmatchIndex(document, -1) {
		b := block{line: 1 + strings.Count(document[:at[6]], "\n"), kind: document[at[6]:at[7]], text: document[at[8]:at[9]]}
		if indent := document[at[4]:at[5]]; indent != "" { // an item of a list
			b.text = strings.TrimPrefix(strings.ReplaceAll("\n"+b.text, "\n"+indent, "\n"), "\n")
		}
		if at[2] >= 0 {
			b.kind, b.file = "file", document[at[2]:at[3]]
		}
		follows := before
		before = b.kind
		switch {
		case b.kind == "sh", b.kind == "file", ofProcess.MatchString(b.kind), (b.kind == "text" || b.kind == "json") && follows == "sh":
			all = append(all, b)
		case b.kind == "", ofTheLanguage.MatchString(b.kind), b.kind == "text" && follows == "yaml error":
		default:
			return nil, fmt.Errorf("line %d: a block of the kind %q after one of the kind %q is not checked: see blocksOf", b.line, b.kind, follows)
		}
	}
	return all, nil
}

// command is one command of an sh block.
type command struct {
	text       string
	code       int // that it ends with
	background bool
}

// says is how a document tells that a command doesn't end with exit code 0.
var says = regexp.MustCompile(`#.*\bexit code (\d+)`)

// commandsOf returns the commands of an sh block: its lines, but for those that
// go on after a backslash, and empty ones and comments.
func commandsOf(text string) (all []command) {
	for _, line := range strings.Split(strings.ReplaceAll(text, "\\\n", " "), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		c := command{text: line, background: strings.HasSuffix(line, "&")}
		if code := says.FindStringSubmatch(line); code != nil {
			_, _ = fmt.Sscan(code[1], &c.code)
		}
		all = append(all, c)
	}
	return all
}

// anew is what differs from run to run, with what stands for it.
var anew = []struct {
	is    *regexp.Regexp
	shown string
}{
	{regexp.MustCompile(`\bkey_[0-9a-f]{32}\b`), "<id>"},
	{regexp.MustCompile(`\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`), "<request id>"},
	{regexp.MustCompile(`\b([a-z]+_(?:live_|test_)?)[0-9A-Za-z_-]{27,}`), "$1<secret>"},
	{regexp.MustCompile(`…[0-9A-Za-z_-]{4}\b`), "<last four>"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "<time>"},
	{regexp.MustCompile(`\b127\.0\.0\.1:\d+\b`), "<address>"},
	{regexp.MustCompile(`[ \t]+`), " "}, // the width of columns follows their content
}

func plainly(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n") // as curl shows headers
	for _, a := range anew {
		text = a.is.ReplaceAllString(text, a.shown)
	}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

// prints returns an error unless the output is what the document shows of it,
// where … is any text, and on a line of its own any lines.
func (b block) prints(out string) error {
	if b.kind == "json" {
		return b.printsJSON(out)
	}
	var want strings.Builder
	for _, line := range strings.Split(strings.TrimSuffix(plainly(b.text), "\n"), "\n") {
		if strings.TrimSpace(line) == "…" {
			want.WriteString(`(?:.*\n)*?`)
			continue
		}
		want.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*") + `\n`)
	}
	if ok, err := regexp.MatchString(`\A`+want.String()+`\z`, plainly(out)); err != nil || !ok {
		return fmt.Errorf("printed\n%s\nwant, as far as it is the same in every run,\n%s", plainly(out), plainly(b.text))
	}
	return nil
}

// printsJSON compares documents. The output is one, or its last line is; the
// text "…" stands for any value.
func (b block) printsJSON(out string) error {
	var got, want any
	if err := json.Unmarshal([]byte(b.text), &want); err != nil {
		return err
	}
	lines := bytes.Split(bytes.TrimSpace([]byte(out)), []byte("\n"))
	if json.Unmarshal([]byte(out), &got) != nil {
		if err := json.Unmarshal(lines[len(lines)-1], &got); err != nil {
			return fmt.Errorf("printed no JSON: %w:\n%s", err, out)
		}
	}
	if !sameJSON(got, want) {
		return fmt.Errorf("printed\n%s\nwant\n%s", out, b.text)
	}
	return nil
}

func sameJSON(got, want any) bool {
	if want == "…" {
		return true
	}
	if list, ok := want.([]any); ok {
		other, ok := got.([]any)
		return ok && slices.EqualFunc(other, list, sameJSON)
	}
	object, ok := want.(map[string]any)
	if !ok {
		return reflect.DeepEqual(got, want)
	}
	other, ok := got.(map[string]any)
	if !ok || len(other) != len(object) {
		return false
	}
	for name, value := range object {
		if has, ok := other[name]; !ok || !sameJSON(has, value) {
			return false
		}
	}
	return true
}

// configures returns what a process would say is wrong with its configuration.
func (b block) configures() error {
	m := map[string]interface {
		proto.Message
		observe.Config
		GetTls() *configv1.TLS
	}{"yaml serve": &configv1.Serve{}, "yaml sidecar": &configv1.Sidecar{}}[b.kind]
	if _, err := strictyaml.Decode(b.kind, []byte(b.text), m); err != nil {
		return err
	}
	if _, err := observe.Configured(&configv1.Serve{}, "", m); err != nil || m.GetTls() == nil {
		return err
	}
	return link.Check(m.GetTls())
}

func TestDocsOutputIsCompared(t *testing.T) {
	for _, c := range []struct {
		kind, shown, printed string
		same                 bool
	}{
		{"text", "id   key_00000000000000000000000000000000\n", "id key_0123456789abcdef0123456789abcdef\n", true},
		{"text", "shown as  nk_live_…abcd\n", "shown as  nk_live_…XMf8\n", true},
		{"text", "ready  yes\n…\n", "ready  yes\nversion  1\nkeys  0\n", true},
		{"text", "…\nkeys  0\n", "ready  yes\nkeys  0\nmore\n", false},
		{"text", "ready  yes\n", "ready  no\n", false},
		{"text", "ready  yes\n", "ready  yes\nmore\n", false},
		{"text", "a…c\n", "abc\n", true},
		{"text", "a.c\n", "abc\n", false},
		{"json", `{"a": "…", "b": [1]}`, "noise\n" + `{"b":[1],"a":{}}`, true},
		{"json", `{"a": "…"}`, `{"a":1,"b":2}`, false},
		{"json", `{"a": "…"}`, `{"b":1}`, false},
		{"json", `{"a": [{"b": "…"}, 1]}`, `{"a":[{"b":2},1]}`, true},
		{"json", `{"a": [{"b": "…"}]}`, `{"a":[{"b":2},1]}`, false},
	} {
		if err := (block{kind: c.kind, text: c.shown}).prints(c.printed); (err == nil) != c.same {
			t.Errorf("%q for %q: %v, want the same: %t", c.printed, c.shown, err, c.same)
		}
	}
}
