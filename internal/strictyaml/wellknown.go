package strictyaml

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

type reader func(d *decoder, n *yaml.Node, m protoreflect.Message, s *spot)

// wellKnown is how a message is read that is not written as a mapping of its fields.
func wellKnown(m protoreflect.MessageDescriptor) reader {
	switch m.FullName() {
	case "google.protobuf.Duration":
		return readDuration
	case "google.protobuf.Timestamp":
		return readTimestamp
	case "google.protobuf.ListValue":
		return readStrings
	case "latchkey.policy.v1.JsonValue":
		return func(d *decoder, n *yaml.Node, m protoreflect.Message, s *spot) {
			if v := d.json(n, s); v != nil {
				proto.Merge(m.Interface(), v)
			}
		}
	}
	return nil
}

func readDuration(d *decoder, n *yaml.Node, m protoreflect.Message, s *spot) {
	s.value(n)
	if n.Kind != yaml.ScalarNode || n.Value == "" {
		d.wrong(s, n, fmt.Sprintf("%s takes a duration, not %s", fieldName(s), shown(n)), errDuration.Error())
		return
	}
	length, err := ParseDuration(n.Value)
	if err != nil {
		d.wrong(s, n, fmt.Sprintf("%s cannot be %s", fieldName(s), shown(n)), err.Error())
		return
	}
	proto.Merge(m.Interface(), durationpb.New(length))
}

func readTimestamp(d *decoder, n *yaml.Node, m protoreflect.Message, s *spot) {
	s.value(n)
	at, err := time.Parse(time.RFC3339, n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || timestamppb.New(at).CheckValid() != nil {
		d.wrong(s, n, fmt.Sprintf("%s takes a time, not %s", fieldName(s), shown(n)), "write it as RFC 3339 has it, such as 2030-01-31T12:00:00Z")
		return
	}
	proto.Merge(m.Interface(), timestamppb.New(at))
}

func readStrings(d *decoder, n *yaml.Node, m protoreflect.Message, s *spot) {
	if n.Kind != yaml.SequenceNode {
		d.wrong(s, n, fmt.Sprintf("%s takes a list of strings, not %s", fieldName(s), describe(n)), otherwise(n, "[]", "write [a, b]"))
		return
	}
	list := &structpb.ListValue{}
	for i, item := range n.Content {
		at := s.itemAt(i, item)
		at.value(item)
		if !d.bad[item] && d.isText(item, at, fieldName(at)) {
			list.Values = append(list.Values, structpb.NewStringValue(item.Value))
		}
	}
	proto.Merge(m.Interface(), list)
}

var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// json reads any value that JSON has too, or returns nil.
func (d *decoder) json(n *yaml.Node, s *spot) *policyv1.JsonValue {
	s.value(n)
	switch {
	case d.bad[n]:
		return nil
	case n.Kind == yaml.MappingNode:
		object := &policyv1.JsonObject{}
		for key, value := range pairs(n) {
			if d.bad[key] {
				continue
			}
			if v := d.json(value, s.child(key.Value, key)); v != nil {
				object.Members = append(object.Members, &policyv1.JsonMember{Name: key.Value, Value: v})
			}
		}
		return &policyv1.JsonValue{Value: &policyv1.JsonValue_Object{Object: object}}
	case n.Kind == yaml.SequenceNode:
		array := &policyv1.JsonArray{}
		for i, item := range n.Content {
			if v := d.json(item, s.itemAt(i, item)); v != nil {
				array.Items = append(array.Items, v)
			}
		}
		return &policyv1.JsonValue{Value: &policyv1.JsonValue_Array{Array: array}}
	case n.Tag == "!!str" && !(plain(n) && isOldBool(n.Value)):
		return &policyv1.JsonValue{Value: &policyv1.JsonValue_Text{Text: n.Value}}
	}
	literal := n.Value
	switch {
	case n.Tag == "!!null" && n.Value == "":
		d.wrong(s, n, fmt.Sprintf("%s has no value", fieldName(s)), `write null, or "" for an empty string`)
		return nil
	case n.Tag == "!!null":
		literal = "null"
	case n.Tag == "!!bool" && strings.ToLower(literal) == literal:
	case (n.Tag == "!!int" || n.Tag == "!!float") && jsonNumber.MatchString(literal):
	default:
		d.wrong(s, n, fmt.Sprintf("%s cannot be %s as JSON", fieldName(s), n.Value), "quote it where it is text: "+quote(n.Value)+"; else write it as JSON does")
		return nil
	}
	return &policyv1.JsonValue{Value: &policyv1.JsonValue_Literal{Literal: literal}}
}
