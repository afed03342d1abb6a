package strictyaml

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Limits of what is read.
const (
	// MaxSize is the size of the largest file, in bytes.
	MaxSize = 1 << 20
	// MaxDepth is how deep mappings and lists may be nested.
	MaxDepth = 64
	// MaxMistakes is how many mistakes of one file are reported.
	MaxMistakes = 200
)

// Decode reads the YAML document src into a message, which it replaces. The
// error is of type [Mistakes]; the message is then left as it was. The name of
// the file is used in mistakes only.
func Decode(file string, src []byte, into proto.Message) (*Source, error) {
	fresh := into.ProtoReflect().New().Interface()
	source, mistakes := DecodeSome(file, src, fresh)
	if len(mistakes) > 0 {
		return nil, mistakes
	}
	proto.Reset(into)
	proto.Merge(into, fresh)
	return source, nil
}

// DecodeSome is [Decode] for those who want to look for further mistakes in
// what could be read: the message, which should be empty, is filled with that,
// and the source is always there. A message that came with mistakes must not
// be used for anything else.
func DecodeSome(file string, src []byte, into proto.Message) (*Source, Mistakes) {
	d := &decoder{
		source: &Source{file: file, lines: splitLines(src), root: &spot{line: 1, column: 1}},
		bad:    map[*yaml.Node]bool{},
		limit:  MaxSize,
	}
	if document := d.parse(src); document != nil {
		d.check(document, d.source.root, 0)
		d.message(document, into.ProtoReflect(), d.source.root, "")
	}
	d.mistakes.Sort()
	if len(d.mistakes) >= MaxMistakes {
		last := d.mistakes[MaxMistakes-1]
		last.Message, last.Remedy = "there are more mistakes than are shown", "correct these first"
		d.mistakes = append(d.mistakes[:MaxMistakes-1], last)
	}
	return d.source, d.mistakes
}

type decoder struct {
	source   *Source
	mistakes Mistakes
	bad      map[*yaml.Node]bool // reported already; nothing below is read
	limit    int                 // bytes that are read
}

// wrong reports what is wrong with a node, once. It is at or in the place s.
func (d *decoder) wrong(s *spot, n *yaml.Node, message, remedy string) {
	if d.bad[n] {
		return
	}
	d.bad[n] = true
	if len(d.mistakes) >= 10*MaxMistakes { // more than are shown, so that the first of the file are among them
		return
	}
	d.mistakes = append(d.mistakes, d.source.mistake(s.path(), n.Line, n.Column, firstLine(n.Value), message, remedy))
}

// extra is wrong for what should not be there, and whose absence harms nothing.
func (d *decoder) extra(s *spot, n *yaml.Node, message, remedy string) {
	before := len(d.mistakes)
	if d.wrong(s, n, message, remedy); len(d.mistakes) > before {
		d.mistakes[before].Extra = true
	}
}

// message reads a mapping into a message. A field of the name `without` was
// given by the mapping around it.
func (d *decoder) message(n *yaml.Node, m protoreflect.Message, s *spot, without protoreflect.Name) {
	if read := wellKnown(m.Descriptor()); read != nil {
		read(d, n, m, s)
		return
	}
	if !d.mapping(n, s, fieldName(s)) {
		return
	}
	fields := m.Descriptor().Fields()
	for key, value := range pairs(n) {
		if d.bad[key] {
			continue
		}
		field := fields.ByName(protoreflect.Name(key.Value))
		switch {
		case field == nil:
			names := fieldNames(fields, without)
			report := d.wrong
			if Nearest(key.Value, names) == "" {
				report = d.extra
			}
			report(s, key, fmt.Sprintf("unknown field %q", key.Value), remedyFor(key.Value, "the fields here are", names))
		case field.Name() == without:
			d.extra(s, key, fmt.Sprintf("field %q cannot be written here", without), fmt.Sprintf("remove it; the name is the key %q", s.name))
		default:
			d.field(value, m, field, s.child(key.Value, key))
		}
	}
}

// field reads one value into one field of a message.
func (d *decoder) field(n *yaml.Node, m protoreflect.Message, field protoreflect.FieldDescriptor, s *spot) {
	switch {
	case d.bad[n]:
	case field.IsMap():
		d.stringMap(n, m, field, s)
	case field.IsList() && nameField(field) != nil:
		d.namedList(n, m, field, s)
	case field.IsList():
		d.list(n, m, field, s)
	case field.Message() != nil:
		d.message(n, m.Mutable(field).Message(), s, "")
	default:
		if v, ok := d.scalar(n, field, s); ok {
			m.Set(field, v)
		}
	}
}

// list reads a list of scalars, or of messages without names.
func (d *decoder) list(n *yaml.Node, m protoreflect.Message, field protoreflect.FieldDescriptor, s *spot) {
	if !d.sequence(n, s, field) {
		return
	}
	list := m.Mutable(field).List()
	for i, item := range n.Content {
		at := s.itemAt(i, item)
		at.value(item)
		switch {
		case d.bad[item]:
		case field.Message() != nil:
			d.message(item, list.AppendMutable().Message(), at, "")
		default:
			if v, ok := d.scalar(item, field, at); ok {
				list.Append(v)
			}
		}
	}
}

// namedList reads a mapping from names to messages, or a list of names.
func (d *decoder) namedList(n *yaml.Node, m protoreflect.Message, field protoreflect.FieldDescriptor, s *spot) {
	list, name := m.Mutable(field).List(), nameField(field)
	add := func(key *yaml.Node) (protoreflect.Message, *spot) {
		at := s.child(key.Value, key)
		element := list.AppendMutable().Message()
		element.Set(name, protoreflect.ValueOfString(key.Value))
		return element, at
	}
	switch {
	case d.bad[n]:
	case n.Kind == yaml.MappingNode:
		for key, value := range pairs(n) {
			if d.bad[key] {
				continue
			}
			element, at := add(key)
			if !d.bad[value] {
				d.message(value, element, at, name.Name())
			}
		}
	case n.Kind == yaml.SequenceNode:
		seen := map[string]*yaml.Node{}
		for _, item := range n.Content {
			if d.bad[item] {
				continue
			}
			if item.Kind != yaml.ScalarNode {
				d.wrong(s, item, fmt.Sprintf("a list of %s holds names only", fieldName(s)), "to say more about one write a mapping, `NAME: {…}`")
				continue
			}
			if !d.isText(item, s, "a name") {
				continue
			}
			switch first := seen[item.Value]; {
			case item.Value == "":
				d.wrong(s, item, "a name cannot be empty", "name it")
			case first != nil:
				d.extra(s, item, fmt.Sprintf("%q stands twice, first in line %d", item.Value, first.Line), "remove one of them")
			default:
				seen[item.Value] = item
				add(item)
			}
		}
	default:
		d.wrong(s, n, fmt.Sprintf("%s takes a mapping from names, or a list of names, not %s", fieldName(s), describe(n)), otherwise(n, "{}", "write `name: {…}`, or [name]"))
	}
}

// stringMap reads a mapping whose keys are free.
func (d *decoder) stringMap(n *yaml.Node, m protoreflect.Message, field protoreflect.FieldDescriptor, s *spot) {
	if !d.mapping(n, s, fieldName(s)) {
		return
	}
	entries, element := m.Mutable(field).Map(), field.MapValue()
	for key, value := range pairs(n) {
		if d.bad[key] || d.bad[value] {
			continue
		}
		at, k := s.child(key.Value, key), protoreflect.ValueOfString(key.Value).MapKey()
		if element.Message() != nil {
			v := entries.NewValue()
			d.message(value, v.Message(), at, "")
			entries.Set(k, v)
		} else if v, ok := d.scalar(value, element, at); ok {
			entries.Set(k, v)
		}
	}
}

// mapping reports whether n is a mapping.
func (d *decoder) mapping(n *yaml.Node, s *spot, what string) bool {
	if n.Kind != yaml.MappingNode {
		d.wrong(s, n, fmt.Sprintf("%s takes a mapping, not %s", what, describe(n)), otherwise(n, "{}", "write `field: value`"))
	}
	return !d.bad[n]
}

// sequence reports whether n is a list.
func (d *decoder) sequence(n *yaml.Node, s *spot, field protoreflect.FieldDescriptor) bool {
	if n.Kind == yaml.SequenceNode {
		return !d.bad[n]
	}
	items, remedy := "values", otherwise(n, "[]", "write [a, b]")
	switch {
	case field.Message() != nil:
		items, remedy = "mappings", otherwise(n, "[]", "write [{…}, {…}]")
	case field.Kind() == protoreflect.StringKind:
		items = "strings"
		if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
			remedy = fmt.Sprintf("write [%s]", quote(n.Value))
		}
	}
	d.wrong(s, n, fmt.Sprintf("%s takes a list of %s, not %s", fieldName(s), items, describe(n)), remedy)
	return false
}

// nameField is the field that names the elements of a list that is written as
// a mapping, or nil for a list that is written as a list.
func nameField(list protoreflect.FieldDescriptor) protoreflect.FieldDescriptor {
	if list.Message() == nil {
		return nil
	}
	first := list.Message().Fields().ByNumber(1)
	if first == nil || first.Name() != "name" || first.Kind() != protoreflect.StringKind || first.IsList() {
		return nil
	}
	return first
}

func fieldNames(fields protoreflect.FieldDescriptors, without protoreflect.Name) []string {
	var names []string
	for i := range fields.Len() {
		if name := fields.Get(i).Name(); name != without {
			names = append(names, string(name))
		}
	}
	return names
}

// fieldName is what a place is called in a sentence.
func fieldName(s *spot) string {
	if s.parent == nil {
		return "the document"
	}
	if s.item {
		return "an item of " + fieldName(s.parent)
	}
	return s.name
}

// pairs yields the keys and values of a mapping, in order.
func pairs(n *yaml.Node) func(func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		for pair := range slices.Chunk(n.Content, 2) {
			if len(pair) == 2 && !yield(pair[0], pair[1]) {
				return
			}
		}
	}
}

func splitLines(src []byte) []string {
	if !utf8.Valid(src) {
		src = []byte(strings.ToValidUTF8(string(src), string(utf8.RuneError)))
	}
	lines := strings.Split(string(src), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSuffix(line, "\r")
	}
	return lines
}
