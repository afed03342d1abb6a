package strictyaml

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"pgregory.net/rapid"

	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
	tablev1 "github.com/latchkey/latchkey/proto/latchkey/table/v1"
)

// TestWhatIsWrittenIsReadBack writes random messages as people would and reads
// them back.
func TestWhatIsWrittenIsReadBack(t *testing.T) {
	for _, empty := range []proto.Message{&policyv1.Policy{}, &directoryv1.Directory{}, &tablev1.Table{}} {
		t.Run(string(empty.ProtoReflect().Descriptor().Name()), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				want := empty.ProtoReflect().New()
				drawMessage(t, want, 0)
				src, err := yaml.Marshal(writeMessage(want, ""))
				if err != nil {
					t.Fatal(err)
				}
				got := empty.ProtoReflect().New().Interface()
				if _, err := Decode("f.yaml", src, got); err != nil {
					t.Fatalf("%v\n%s", err, src)
				}
				if !proto.Equal(want.Interface(), got) {
					t.Fatalf("wrote %v\nread %v\n%s", want, got, src)
				}
			})
		})
	}
}

var (
	drawText = rapid.OneOf(
		rapid.SampledFrom([]string{"", "yes", "null", "1.0", "0123", "~", "a: b", "# x", "*x", "&x", "!x", "{a}", "[", "-", "<<", "%", "a\nb", " x ", "live", "é", "`", "@", "\"", "'"}),
		rapid.StringMatching(`[ -~\n]{0,12}`),
	)
	drawName = rapid.StringMatching(`[a-z{}:,\[\]"' 0-9-]{1,8}`)
)

func drawMessage(t *rapid.T, m protoreflect.Message, depth int) {
	switch v := m.Interface().(type) {
	case *durationpb.Duration:
		v.Seconds = rapid.Int64Range(0, 36500*24*3600).Draw(t, "seconds")
		return
	case *structpb.ListValue:
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			v.Values = append(v.Values, structpb.NewStringValue(drawText.Draw(t, "item")))
		}
		return
	case *policyv1.JsonValue:
		proto.Merge(v, drawJSON(t, depth))
		return
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if !rapid.Bool().Draw(t, "present") {
			continue
		}
		switch {
		case field.IsMap():
			for range rapid.IntRange(1, 3).Draw(t, "members") {
				key := protoreflect.ValueOfString(drawName.Draw(t, "key")).MapKey()
				if field.MapValue().Message() == nil {
					m.Mutable(field).Map().Set(key, drawScalar(t, field.MapValue()))
				} else {
					drawMessage(t, m.Mutable(field).Map().Mutable(key).Message(), depth+1)
				}
			}
		case field.IsList():
			names := rapid.SliceOfNDistinct(drawName, 1, 3, rapid.ID).Draw(t, "names")
			for _, name := range names {
				if field.Message() == nil {
					m.Mutable(field).List().Append(drawScalar(t, field))
					continue
				}
				element := m.Mutable(field).List().AppendMutable().Message()
				drawMessage(t, element, depth+1)
				if nameField(field) != nil {
					element.Set(nameField(field), protoreflect.ValueOfString(name))
				}
			}
		case field.Message() != nil:
			drawMessage(t, m.Mutable(field).Message(), depth+1)
		default:
			m.Set(field, drawScalar(t, field))
		}
	}
}

func drawScalar(t *rapid.T, field protoreflect.FieldDescriptor) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(rapid.Bool().Draw(t, "bool"))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(rapid.Uint32().Draw(t, "uint32"))
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(rapid.Uint64().Draw(t, "uint64"))
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(rapid.SampledFrom(EnumWords(field.Enum())).Draw(t, "enum").Number)
	}
	return protoreflect.ValueOfString(drawText.Draw(t, "text"))
}

func drawJSON(t *rapid.T, depth int) *policyv1.JsonValue {
	kind := rapid.IntRange(0, 3).Draw(t, "kind")
	switch {
	case kind == 0 && depth < 6:
		object := &policyv1.JsonObject{}
		for _, name := range rapid.SliceOfNDistinct(drawName, 0, 3, rapid.ID).Draw(t, "members") {
			object.Members = append(object.Members, &policyv1.JsonMember{Name: name, Value: drawJSON(t, depth+1)})
		}
		return &policyv1.JsonValue{Value: &policyv1.JsonValue_Object{Object: object}}
	case kind == 1 && depth < 6:
		array := &policyv1.JsonArray{}
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			array.Items = append(array.Items, drawJSON(t, depth+1))
		}
		return &policyv1.JsonValue{Value: &policyv1.JsonValue_Array{Array: array}}
	case kind == 2:
		literal := rapid.SampledFrom([]string{"0", "-1", "1.50", "1e9", "true", "false", "null"}).Draw(t, "literal")
		return &policyv1.JsonValue{Value: &policyv1.JsonValue_Literal{Literal: literal}}
	}
	return &policyv1.JsonValue{Value: &policyv1.JsonValue_Text{Text: drawText.Draw(t, "text")}}
}

func text(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Style: yaml.DoubleQuotedStyle}
}

func word(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: s} }

// writeMessage is a message as people write it.
func writeMessage(m protoreflect.Message, without protoreflect.Name) *yaml.Node {
	switch v := m.Interface().(type) {
	case *durationpb.Duration:
		return word(writeDuration(v.AsDuration()))
	case *structpb.ListValue:
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for _, item := range v.Values {
			list.Content = append(list.Content, text(item.GetStringValue()))
		}
		return list
	case *policyv1.JsonValue:
		return writeJSON(v)
	}
	mapping := &yaml.Node{Kind: yaml.MappingNode}
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if field.Name() != without {
			mapping.Content = append(mapping.Content, word(string(field.Name())), writeField(field, v))
		}
		return true
	})
	return mapping
}

func writeField(field protoreflect.FieldDescriptor, v protoreflect.Value) *yaml.Node {
	switch {
	case field.IsMap():
		mapping := &yaml.Node{Kind: yaml.MappingNode}
		v.Map().Range(func(key protoreflect.MapKey, v protoreflect.Value) bool {
			mapping.Content = append(mapping.Content, text(key.String()), writeOne(field.MapValue(), v, ""))
			return true
		})
		return mapping
	case field.IsList() && nameField(field) != nil:
		return writeNamed(v.List(), nameField(field))
	case field.IsList():
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range v.List().Len() {
			list.Content = append(list.Content, writeOne(field, v.List().Get(i), ""))
		}
		return list
	}
	return writeOne(field, v, "")
}

// writeNamed writes a list of names where the names are all there is to say.
func writeNamed(list protoreflect.List, name protoreflect.FieldDescriptor) *yaml.Node {
	mapping, names := &yaml.Node{Kind: yaml.MappingNode}, &yaml.Node{Kind: yaml.SequenceNode}
	plain := true
	for i := range list.Len() {
		element := list.Get(i).Message()
		rest := writeMessage(element, name.Name())
		plain = plain && len(rest.Content) == 0
		mapping.Content = append(mapping.Content, text(element.Get(name).String()), rest)
		names.Content = append(names.Content, text(element.Get(name).String()))
	}
	if plain {
		return names
	}
	return mapping
}

func writeOne(field protoreflect.FieldDescriptor, v protoreflect.Value, without protoreflect.Name) *yaml.Node {
	switch field.Kind() {
	case protoreflect.MessageKind:
		return writeMessage(v.Message(), without)
	case protoreflect.StringKind:
		return text(v.String())
	case protoreflect.EnumKind:
		words := EnumWords(field.Enum())
		i := slices.IndexFunc(words, func(w EnumWord) bool { return w.Number == v.Enum() })
		return word(words[i].Text)
	}
	return word(v.String())
}

func writeJSON(v *policyv1.JsonValue) *yaml.Node {
	switch v := v.Value.(type) {
	case *policyv1.JsonValue_Object:
		mapping := &yaml.Node{Kind: yaml.MappingNode}
		for _, member := range v.Object.Members {
			mapping.Content = append(mapping.Content, text(member.Name), writeJSON(member.Value))
		}
		return mapping
	case *policyv1.JsonValue_Array:
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for _, item := range v.Array.Items {
			list.Content = append(list.Content, writeJSON(item))
		}
		return list
	case *policyv1.JsonValue_Literal:
		return word(v.Literal)
	}
	return text(v.GetText())
}

func writeDuration(d time.Duration) string {
	s := ""
	for _, u := range units {
		if n := d / u.length; n > 0 {
			s += strconv.FormatInt(int64(n), 10) + string(u.letter)
			d -= n * u.length
		}
	}
	if s == "" {
		return "0s"
	}
	return s
}
