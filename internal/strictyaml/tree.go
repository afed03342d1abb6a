package strictyaml

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Limits of a tree: what other programs write may be long.
const (
	// MaxTreeSize is the size of the largest file that [ReadTree] reads, in bytes.
	MaxTreeSize = 32 << 20
	// maxTreeNodes is how many values a tree may have, each alias counted as all that it stands for.
	maxTreeNodes = 1 << 20
	// maxTreeDepth is how deep they may be nested.
	maxTreeDepth = 128
)

// Kind is what a value of a tree is.
type Kind uint8

// The kinds.
const (
	Null    Kind = iota
	Scalar       // text, a number, true or false
	Mapping      // named members
	List         // items
)

// Tree is a value of a document that is of no message of ours: the configuration of another program. It isn't changed once it
// is returned.
type Tree struct {
	Kind Kind
	// Line and Column, from 1, are where the value stands.
	Line, Column int
	// Text is that of a scalar.
	Text string
	// Names are those of a mapping's members, which stand in Values at the same index, in the order of the file. A list has
	// no names.
	Names  []string
	Values []*Tree
	isText bool // quoted, or taken for nothing else
}

// ReadTree reads YAML, or JSON, that is another program's: anchors and aliases are followed there. What could be read in two
// ways is refused as by [Decode], with [Mistakes]: a key that stands twice, a second document.
func ReadTree(file string, src []byte) (*Tree, error) {
	if json.Valid(src) {
		// Tabs may be in it, only between values; YAML refuses them there.
		src = bytes.ReplaceAll(src, []byte{'\t'}, []byte{' '})
	}
	d := &decoder{
		source: &Source{file: file, lines: splitLines(src), root: &spot{line: 1, column: 1}},
		bad:    map[*yaml.Node]bool{},
		limit:  MaxTreeSize,
	}
	var tree *Tree
	if document := d.parse(src); document != nil {
		t := treeReader{decoder: d, left: maxTreeNodes}
		tree = t.read(document, d.source.root, 0)
	}
	if len(d.mistakes) > 0 {
		d.mistakes.Sort()
		for i := range d.mistakes {
			d.mistakes[i].line = "" // another program's file may hold secrets: none of its lines is shown
		}
		return nil, d.mistakes[:min(len(d.mistakes), MaxMistakes)]
	}
	return tree, nil
}

type treeReader struct {
	*decoder
	left int // values that may still come
}

func (t *treeReader) read(n *yaml.Node, s *spot, depth int) *Tree {
	for ; n.Kind == yaml.AliasNode; n = n.Alias {
	}
	tree := &Tree{Line: n.Line, Column: n.Column}
	switch t.left--; {
	case t.left < 0:
		if t.left == -1 {
			t.wrong(s, n, fmt.Sprintf("more than %d values", maxTreeNodes), "read a part of it")
		}
		return tree
	case depth > maxTreeDepth:
		t.wrong(s, n, fmt.Sprintf("nested deeper than %d levels", maxTreeDepth), "nest it less")
		return tree
	}
	switch {
	case n.Kind == yaml.MappingNode:
		tree.Kind = Mapping
		lines := make(map[string]int, len(n.Content)/2)
		for key, value := range pairs(n) {
			if key.Kind != yaml.ScalarNode {
				t.wrong(s, key, fmt.Sprintf("the key of a mapping is %s", describe(key)), "write text")
				continue
			}
			if first := lines[key.Value]; first != 0 {
				t.wrong(s, key, fmt.Sprintf("%q stands twice, first in line %d", key.Value, first), "remove one of them")
				continue
			}
			lines[key.Value] = key.Line
			tree.Names = append(tree.Names, key.Value)
			tree.Values = append(tree.Values, t.read(value, &spot{parent: s, name: key.Value}, depth+1))
		}
	case n.Kind == yaml.SequenceNode:
		tree.Kind = List
		for i, item := range n.Content {
			tree.Values = append(tree.Values, t.read(item, &spot{parent: s, name: strconv.Itoa(i), item: true}, depth+1))
		}
	case n.Tag == "!!null":
	default:
		tree.Kind, tree.Text, tree.isText = Scalar, n.Value, !plain(n) || n.Tag == "!!str"
	}
	return tree
}

// Member returns the member of a mapping that has this name, or nil. All methods may be called on nil.
func (t *Tree) Member(name string) *Tree {
	if t == nil || t.Kind != Mapping {
		return nil
	}
	if i := slices.Index(t.Names, name); i >= 0 {
		return t.Values[i]
	}
	return nil
}

// JSON is the value as a JSON document: its members in the order of the file.
func (t *Tree) JSON() json.RawMessage { return t.appendJSON(nil) }

func (t *Tree) appendJSON(b []byte) []byte {
	switch {
	case t == nil || t.Kind == Null:
		return append(b, "null"...)
	case t.Kind == List:
		return append(t.appendAll(append(b, '[')), ']')
	case t.Kind == Mapping:
		return append(t.appendAll(append(b, '{')), '}')
	case !t.isText && json.Valid([]byte(t.Text)):
		return append(b, t.Text...)
	case !t.isText && (strings.EqualFold(t.Text, "true") || strings.EqualFold(t.Text, "false")):
		return append(b, strings.ToLower(t.Text)...)
	}
	return appendText(b, t.Text)
}

func (t *Tree) appendAll(b []byte) []byte {
	for i, v := range t.Values {
		if i > 0 {
			b = append(b, ',')
		}
		if t.Kind == Mapping {
			b = append(appendText(b, t.Names[i]), ':')
		}
		b = v.appendJSON(b)
	}
	return b
}

func appendText(b []byte, text string) []byte {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // text always marshals
	}
	return append(b, quoted...)
}
