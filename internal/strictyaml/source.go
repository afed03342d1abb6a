package strictyaml

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Source keeps where the fields of a decoded message stand in its file. It is
// not changed once it is returned, and may be used by several goroutines.
type Source struct {
	file  string
	lines []string
	root  *spot
}

// spot is the place of one field or element, with those inside it.
type spot struct {
	parent *spot
	name   string
	item   bool // an item of a list; its name is its index
	line   int
	column int
	text   string
	node   *yaml.Node // a scalar's, for places within it; else nil
	byName map[string]*spot
	byRank []*spot
}

// child adds the place of a field or element within s.
func (s *spot) child(name string, n *yaml.Node) *spot {
	c := &spot{parent: s, name: name, line: n.Line, column: n.Column, text: firstLine(n.Value)}
	if s.byName == nil {
		s.byName = map[string]*spot{}
	}
	s.byName[name] = c
	s.byRank = append(s.byRank, c)
	return c
}

// itemAt adds the place of an item of a list.
func (s *spot) itemAt(i int, n *yaml.Node) *spot {
	c := s.child(strconv.Itoa(i), n)
	c.item = true
	return c
}

// value moves a field's place from its key to its value, where that is a scalar.
func (s *spot) value(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode {
		s.line, s.column, s.text, s.node = n.Line, n.Column, firstLine(n.Value), n
	}
}

// path leads from the root to s.
func (s *spot) path() []string {
	var path []string
	for ; s != nil && s.parent != nil; s = s.parent {
		path = append(path, s.name)
	}
	slices.Reverse(path)
	return path
}

// find follows path as far as it goes.
func (s *spot) find(path []string) *spot {
	for _, name := range path {
		next := s.byName[name]
		if next == nil {
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(s.byRank) {
				return s
			}
			next = s.byRank[i]
		}
		s = next
	}
	return s
}

// File is the name of the file, as it was given to [Decode].
func (s *Source) File() string { return s.file }

// At is the place of a field: its line and column, from 1, and the text there.
// The elements of path are field names, names of a mapping's members and
// decimal indexes from 0. It is the value's place for a scalar, else the key's.
// For a field that the file does not hold it is the place of what would hold it.
func (s *Source) At(path ...string) (line, column int, text string) {
	p := s.root.find(path)
	return p.line, p.column, p.text
}

// Mistake is a mistake at the place of a field: see [Source.At].
func (s *Source) Mistake(path []string, message, remedy string) Mistake {
	p := s.root.find(path)
	return s.mistake(path, p.line, p.column, p.text, message, remedy)
}

// MistakeWithin is a mistake inside a string field, offset characters from the
// start of its value. It is the place of the whole value where the file does
// not hold the value as it is: when it has escapes or several lines.
func (s *Source) MistakeWithin(path []string, offset int, message, remedy string) Mistake {
	p := s.root.find(path)
	m := s.mistake(path, p.line, p.column, p.text, message, remedy)
	if p.node == nil || p.line > len(s.lines) || offset <= 0 {
		return m
	}
	start := p.column - 1
	if p.node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		start++
	}
	line, value := []rune(s.lines[p.line-1]), []rune(p.node.Value)
	if offset >= len(value) || start+len(value) > len(line) || string(line[start:start+len(value)]) != p.node.Value {
		return m
	}
	m.Column, m.Text = start+offset+1, string(value[offset:offset+1])
	return m
}

func (s *Source) mistake(path []string, line, column int, text, message, remedy string) Mistake {
	m := Mistake{
		File: s.file, Line: max(line, 1), Column: max(column, 1), Path: slices.Clone(path),
		// What a file says may be repeated in a message: it must do no harm to a terminal.
		Text: text, Message: Printable(message), Remedy: Printable(remedy),
	}
	if m.Line <= len(s.lines) {
		m.line = s.lines[m.Line-1]
	}
	return m
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
