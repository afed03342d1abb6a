package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/latchkey/latchkey/directory"
)

// Problem is one thing that is wrong with a document.
type Problem struct {
	Path    []string // fields, names and indexes that lead to the place; none: the whole document
	Message string   // what is wrong
	Remedy  string   // what to do; may be empty
}

// String returns the problem on one line.
func (p Problem) String() string {
	s := p.Message
	if len(p.Path) > 0 {
		s = strings.Join(p.Path, ".") + ": " + s
	}
	if p.Remedy != "" {
		s += ": " + p.Remedy
	}
	return s
}

// Problems is everything that is wrong with a document. It is the error that
// Compile returns.
type Problems []Problem

// Error returns the problems, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// at is a place in a document, where problems are noted.
type at struct {
	problems *Problems
	path     []string
}

func (a at) in(steps ...any) at {
	path := slices.Clone(a.path)
	for _, s := range steps {
		path = append(path, fmt.Sprint(s))
	}
	return at{a.problems, path}
}

func (a at) note(remedy, format string, args ...any) {
	*a.problems = append(*a.problems, Problem{Path: a.path, Message: fmt.Sprintf(format, args...), Remedy: remedy})
}

// name notes text that isn't a plain name.
func (a at) name(what, text string, valid func(string) bool, form string) {
	if !valid(text) {
		a.note("write "+form, "%q can't name %s", text, what)
	}
}

// known notes names that are not declared, and names that stand there twice.
func (a at) known(what string, list, declared []string) {
	for i, name := range list {
		switch {
		case !slices.Contains(declared, name):
			a.in(i).note(Nearest(name, declared), "%s %q is not declared", what, name)
		case slices.Contains(list[:i], name):
			a.in(i).note("take one out", "%s %q stands here twice", what, name)
		}
	}
}

// Nearest returns a remedy for a name that isn't one of the given: the one
// that it was probably meant to be, or all of them.
func Nearest(name string, declared []string) string {
	if near := Near(name, declared); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(declared) == 0 {
		return "declare it first"
	}
	return "declare it, or use one of " + strings.Join(declared, ", ")
}

// Near returns the name that one that isn't among them was probably meant to be, and nothing where none is near.
func Near(name string, names []string) string {
	best, distance := "", len(name)/2+1
	for _, d := range names {
		if n := editDistance(strings.ToLower(name), strings.ToLower(d)); n < distance {
			best, distance = d, n
		}
	}
	return best
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			above := row[j]
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(diagonal+cost, above+1, row[j-1]+1)
			diagonal = above
		}
	}
	return row[len(b)]
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Forms of names, with the words that describe them.
const (
	slugForm  = "a letter, then a-z, 0-9, - and _, at most 63 characters"
	nameForm  = "1 to 128 of A-Z a-z 0-9 . _ ~ -"
	scopeForm = "1 to 128 of A-Z a-z 0-9 . _ ~ - :"
	titleForm = "1 to 128 printable ASCII characters, no space at its ends"
)

func validSlug(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (i == 0 || c != '-' && c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != "" && len(s) <= 63
}

func validTitle(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return s != "" && len(s) <= 128 && strings.TrimSpace(s) == s
}

func validScope(s string) bool { return directory.ValidPermission(s) && s != allNames }
