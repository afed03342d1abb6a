package reference

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/latchkey/latchkey/internal/strictyaml"
)

// Messages says how the messages of a .proto are written down. A comment of a field says what it means, then on lines of
// their own, where there is one, `Default: …` and `Example: …`.
type Messages struct {
	File protoreflect.FileDescriptor // with its comments

	Required map[protoreflect.FullName][]string // fields of a message that must be there
	OneOf    map[protoreflect.FullName][]string // of which exactly one must be there
	Words    map[protoreflect.FullName]string   // what a field's text may be, where its type doesn't say it
	Skip     []protoreflect.Name                // messages that aren't written down: how Any says it is enough
	Any      map[protoreflect.FullName]string   // what the value of such a message is called
}

// Open returns the file of a descriptor set as `buf build` writes it, with its comments. What it imports must be linked
// into this program.
func Open(set []byte) (protoreflect.FileDescriptor, error) {
	var all descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(set, &all); err != nil || len(all.GetFile()) != 1 {
		return nil, fmt.Errorf("reading a descriptor set of one file (run make generate): %w", err)
	}
	return protodesc.NewFile(all.GetFile()[0], protoregistry.GlobalFiles)
}

// Tables returns a section for each message, in the order of the file, with headings of the given level.
func (m *Messages) Tables(level int) string {
	var b strings.Builder
	for i := range m.File.Messages().Len() {
		if d := m.File.Messages().Get(i); !slices.Contains(m.Skip, d.Name()) {
			m.section(&b, d, level)
		}
	}
	return b.String()
}

func (m *Messages) section(b *strings.Builder, d protoreflect.MessageDescriptor, level int) {
	fmt.Fprintf(b, "%s %s\n\n%s\n\n", strings.Repeat("#", level), d.Name(), m.Comment(d).Meaning)
	t := table{head: []string{"field", "value", "default", "example", "meaning"}}
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		c := m.Comment(f)
		is := c.Default
		if slices.Contains(m.Required[d.FullName()], string(f.Name())) {
			is = "required"
		}
		t.add(code(string(f.Name())), m.value(f), is, c.Example, c.Meaning+m.words(f))
	}
	t.write(b)
	if ways := m.OneOf[d.FullName()]; ways != nil {
		fmt.Fprintf(b, "Exactly one of `%s` must be there.\n\n", strings.Join(ways, "`, `"))
	}
}

// Comment is the comment of a message or a field, taken apart.
type Comment struct{ Meaning, Default, Example string }

// Comment returns the comment of a message or field.
func (m *Messages) Comment(d protoreflect.Descriptor) (c Comment) {
	into := &c.Meaning
	for _, line := range strings.Split(m.File.SourceLocations().ByDescriptor(d).LeadingComments, "\n") {
		line = strings.TrimSpace(line)
		if is, ok := strings.CutPrefix(line, "Default: "); ok {
			into, line = &c.Default, is
		}
		if is, ok := strings.CutPrefix(line, "Example: "); ok {
			into, line = &c.Example, is
		}
		*into = strings.TrimSpace(*into + " " + line)
	}
	c.Default, c.Example = strings.TrimSuffix(c.Default, "."), strings.TrimSuffix(c.Example, ".")
	return c
}

// value says what a field takes.
func (m *Messages) value(f protoreflect.FieldDescriptor) string {
	switch {
	case f.Number() == 1 && f.Name() == "name" && f.Parent() != m.File.Messages().Get(0):
		return "what it stands at"
	case f.IsMap():
		return "mapping of " + plural(m.one(f.MapValue()))
	case f.IsList() && f.Message() != nil && f.Message().Fields().ByName("name") != nil:
		return "mapping from a name to " + m.one(f)
	case f.IsList():
		return "list of " + plural(m.one(f))
	}
	return m.one(f)
}

func (m *Messages) one(f protoreflect.FieldDescriptor) string {
	if words := m.Words[f.FullName()]; words != "" {
		return words
	}
	switch f.Kind() {
	case protoreflect.StringKind:
		return "text"
	case protoreflect.BoolKind:
		return "true or false"
	case protoreflect.EnumKind:
		var words []string
		for _, w := range strictyaml.EnumWords(f.Enum()) {
			words = append(words, code(w.Text))
		}
		return strings.Join(words, " or ")
	case protoreflect.MessageKind:
		if any := m.Any[f.Message().FullName()]; any != "" {
			return any
		}
		name := string(f.Message().Name())
		return fmt.Sprintf("[%s](#%s)", name, strings.ToLower(name))
	}
	return "number"
}

func plural(word string) string {
	switch word {
	case "text":
		return "texts"
	case "duration":
		return "durations"
	}
	return word
}

// words are the meanings of the words that a field takes.
func (m *Messages) words(f protoreflect.FieldDescriptor) string {
	if f.Enum() == nil {
		return ""
	}
	text := ""
	for _, w := range strictyaml.EnumWords(f.Enum()) {
		meaning := strings.TrimSuffix(m.Comment(w.Value).Meaning, ".")
		text += fmt.Sprintf(" %s: %s.", code(w.Text), meaning)
	}
	return text
}
