package policyfile

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/latchkey/latchkey/internal/strictyaml"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

// descriptors is policy.proto with its comments, which the generated Go does
// not keep. `make generate` writes it.
//
//go:embed policy.binpb
var descriptors []byte

// Schema returns the JSON Schema (draft 2020-12) of a policy file, for
// editors: the fields of the policy document with their comments, and the
// forms of names, routes, formats and durations. Every policy that loads is
// valid by it; not every valid one loads. It is the same bytes each time.
func Schema() ([]byte, error) { return schema() }

var schema = sync.OnceValues(func() ([]byte, error) {
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(descriptors, &set); err != nil || len(set.GetFile()) != 1 {
		return nil, fmt.Errorf("reading the embedded policy.proto (run make generate): %w", err)
	}
	file, err := protodesc.NewFile(set.GetFile()[0], protoregistry.GlobalFiles)
	if err != nil {
		return nil, fmt.Errorf("linking the embedded policy.proto: %w", err)
	}
	g := &schemaWriter{comments: file.SourceLocations()}
	root := file.Messages().ByName((&policyv1.Policy{}).ProtoReflect().Descriptor().Name())
	g.want(root)
	body := g.message(root, "")
	defs := jsonObject{}
	for i := 1; i < len(g.defs); i++ { // grows while messages refer to further ones
		defs = append(defs, member{string(g.defs[i].Name()), g.message(g.defs[i], "name")})
	}
	document := append(jsonObject{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"title", "Latchkey policy"},
	}, body...)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(append(document, member{"$defs", defs})); err != nil {
		return nil, fmt.Errorf("writing the schema: %w", err)
	}
	return b.Bytes(), nil
})

// schemaWriter writes the schemas of messages, and remembers which others
// they refer to.
type schemaWriter struct {
	comments protoreflect.SourceLocations
	defs     []protoreflect.MessageDescriptor
}

// want notes a message that needs a definition.
func (g *schemaWriter) want(m protoreflect.MessageDescriptor) {
	for _, d := range g.defs {
		if d == m {
			return
		}
	}
	g.defs = append(g.defs, m)
}

// message is the schema of a mapping of fields. The field `without`, if it is
// the first, is the key that the mapping stands at.
func (g *schemaWriter) message(m protoreflect.MessageDescriptor, without protoreflect.Name) jsonObject {
	properties := jsonObject{}
	for i := range m.Fields().Len() {
		field := m.Fields().Get(i)
		if field.Number() == 1 && field.Name() == without {
			continue
		}
		properties = append(properties, member{string(field.Name()), g.described(field, g.field(field))})
	}
	o := g.described(m, jsonObject{{"type", "object"}, {"properties", properties}, {"additionalProperties", false}})
	if required := requiredFields[m.FullName()]; required != nil {
		o = append(o, member{"required", required})
	}
	if ways := oneOfFields[m.FullName()]; ways != nil {
		var each []jsonObject
		for _, way := range ways {
			each = append(each, jsonObject{{"required", []string{way}}})
		}
		o = append(o, member{"oneOf", each})
	}
	return o
}

// field is the schema of a field's value.
func (g *schemaWriter) field(field protoreflect.FieldDescriptor) jsonObject {
	switch {
	case field.IsMap():
		return jsonObject{{"type", "object"}, {"additionalProperties", g.one(field.MapValue())}}
	case field.IsList() && field.Message() != nil && field.Message().Fields().ByName("name") != nil:
		return g.named(field)
	case field.IsList():
		return jsonObject{{"type", "array"}, {"items", g.one(field)}}
	}
	return g.one(field)
}

// named is the schema of a mapping from names and, where a name can be all
// there is to say, of a list of names.
func (g *schemaWriter) named(field protoreflect.FieldDescriptor) jsonObject {
	element := field.Message()
	g.want(element)
	name := g.one(element.Fields().ByName("name"))
	mapping := jsonObject{
		{"type", "object"},
		{"propertyNames", name},
		{"additionalProperties", jsonObject{{"$ref", "#/$defs/" + string(element.Name())}}},
	}
	if requiredFields[element.FullName()] != nil || oneOfFields[element.FullName()] != nil {
		return mapping
	}
	names := jsonObject{{"type", "array"}, {"items", name}, {"uniqueItems", true}}
	return jsonObject{{"anyOf", []jsonObject{mapping, names}}}
}

// one is the schema of one value of a field.
func (g *schemaWriter) one(field protoreflect.FieldDescriptor) jsonObject {
	form := forms[field.FullName()]
	switch field.Kind() {
	case protoreflect.BoolKind:
		return jsonObject{{"type", "boolean"}}
	case protoreflect.StringKind:
		switch {
		case form.words != nil:
			return jsonObject{{"enum", form.words}}
		case form.pattern != "":
			return jsonObject{{"type", "string"}, {"pattern", "^" + form.pattern + "$"}}
		}
		return jsonObject{{"type", "string"}}
	case protoreflect.EnumKind:
		var words []string
		for _, w := range strictyaml.EnumWords(field.Enum()) {
			words = append(words, w.Text)
		}
		return jsonObject{{"enum", words}}
	case protoreflect.MessageKind:
		switch field.Message().FullName() {
		case "google.protobuf.Duration":
			return jsonObject{{"type", "string"}, {"minLength", 2}, {"pattern", "^" + durationPattern + "$"}}
		case "latchkey.policy.v1.JsonValue":
			return jsonObject{}
		}
		g.want(field.Message())
		return jsonObject{{"$ref", "#/$defs/" + string(field.Message().Name())}}
	}
	return jsonObject{{"type", "integer"}, {"minimum", form.least}, {"maximum", form.most}}
}

// described puts the comment of a message or field before its schema. What an
// enum's values mean follows the comment of its field.
func (g *schemaWriter) described(d protoreflect.Descriptor, schema jsonObject) jsonObject {
	text := g.comment(d)
	if field, ok := d.(protoreflect.FieldDescriptor); ok && field.Enum() != nil {
		for _, w := range strictyaml.EnumWords(field.Enum()) {
			text += fmt.Sprintf("\n- %s: %s", w.Text, g.comment(field.Enum().Values().ByNumber(w.Number)))
		}
	}
	return append(jsonObject{{"description", text}}, schema...)
}

func (g *schemaWriter) comment(d protoreflect.Descriptor) string {
	return strings.Join(strings.Fields(g.comments.ByDescriptor(d).LeadingComments), " ")
}

// jsonObject is a JSON object that keeps the order of its members: editors offer
// fields in the order of the schema.
type jsonObject []member

type member struct {
	name  string
	value any
}

// MarshalJSON writes the members in order.
func (o jsonObject) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := e.Encode(m.name); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := e.Encode(m.value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
