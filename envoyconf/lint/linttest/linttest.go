// Package linttest has configurations of Envoy that are dangerous, each by one thing that differs from what `latchkey envoy
// config` prints. The rules are tested with them, and a real Envoy shows what they open.
package linttest

import (
	"embed"
	"fmt"
	"path"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
)

// Hole is one way to make a good configuration dangerous.
type Hole struct {
	Name  string
	Story string // what is wrong, in a sentence
	// Want is what lint finds, one finding a line: severity, rule and path.
	Want []string
	// Seen is what a real Envoy lets through, as a test makes it happen; empty where none does.
	Seen  string
	edits []edit
}

type edit struct{ replace, by string }

//go:embed holes/*.txtar
var files embed.FS

// Holes returns all of them, by name.
//
// A file of a hole begins with its story. Its parts are pairs of `replace`, which is text that a configuration holds once, and
// `by`, one part `want`, and `seen` where that is so. The end of a part's last line doesn't belong to it.
func Holes() ([]Hole, error) {
	names, err := files.ReadDir("holes")
	if err != nil {
		return nil, err
	}
	holes := make([]Hole, len(names))
	for i, file := range names {
		text, err := files.ReadFile(path.Join("holes", file.Name()))
		if err != nil {
			return nil, err
		}
		if holes[i], err = read(strings.TrimSuffix(file.Name(), ".txtar"), text); err != nil {
			return nil, err
		}
	}
	return holes, nil
}

func read(name string, text []byte) (Hole, error) {
	archive := txtar.Parse(text)
	h := Hole{Name: name, Story: strings.TrimSpace(strings.TrimPrefix(string(archive.Comment), "#"))}
	for _, part := range archive.Files {
		content := strings.TrimSuffix(string(part.Data), "\n")
		switch n := len(h.edits); {
		case part.Name == "want":
			h.Want = strings.Split(content, "\n")
		case part.Name == "seen":
			h.Seen = content
		case part.Name == "replace":
			h.edits = append(h.edits, edit{replace: content})
		case part.Name == "by" && n > 0:
			h.edits[n-1].by = content
		default:
			return Hole{}, fmt.Errorf("linttest: %s has a part %q: write replace, by, want or seen", name, part.Name)
		}
	}
	return h, nil
}

// Open returns a configuration with the hole in it. It fails where the configuration doesn't hold once what is to be replaced.
func (h Hole) Open(config string) (string, error) {
	for _, e := range h.edits {
		if n := strings.Count(config, e.replace); n != 1 {
			return "", fmt.Errorf("linttest: the configuration holds %d times, want once, what the hole %s replaces:\n%s", n, h.Name, e.replace)
		}
		config = strings.Replace(config, e.replace, e.by, 1)
	}
	return config, nil
}
