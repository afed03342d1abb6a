package authz

import (
	"bytes"
	"maps"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// TestWhatIsUsedIsThere: every field that a check reads is in the messages
// that Envoy sends, once.
func TestWhatIsUsedIsThere(t *testing.T) {
	found := map[use]int{}
	seen := map[*schema]bool{}
	var visit func(*schema)
	visit = func(s *schema) {
		if s == nil || seen[s] {
			return
		}
		seen[s] = true
		for _, f := range s.fields {
			found[f.use]++
			visit(f.message)
		}
	}
	visit(checkRequest)
	want := map[use]int{}
	for _, u := range uses {
		want[u]++
	}
	delete(found, 0)
	if !maps.Equal(found, want) {
		t.Errorf("uses are found %v times, want %v", found, want)
	}
	if len(seen) < 20 {
		t.Errorf("%d messages can be in a CheckRequest: the walk has grown blind", len(seen))
	}
}

// numbers is a message of lists of numbers, which no CheckRequest holds today.
func numbers(t *testing.T) protoreflect.MessageDescriptor {
	t.Helper()
	list := func(name string, number int32, of descriptorpb.FieldDescriptorProto_Type) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{Name: &name, Number: &number, Type: &of, Label: descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()}
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("numbers.proto"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("Numbers"), Field: []*descriptorpb.FieldDescriptorProto{
			list("varints", 1, descriptorpb.FieldDescriptorProto_TYPE_SINT64),
			list("fixed32s", 2, descriptorpb.FieldDescriptorProto_TYPE_FLOAT),
			list("fixed64s", 3, descriptorpb.FieldDescriptorProto_TYPE_SFIXED64),
		}}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return file.Messages().Get(0)
}

// TestRepeatedNumbers: should a list of numbers come into a CheckRequest, it is
// validated as the generated types do it, in one piece and in many.
func TestRepeatedNumbers(t *testing.T) {
	m := numbers(t)
	s := schemaOf(m, map[protoreflect.FullName]*schema{})
	rejected := 0
	for number := range protowire.Number(4) {
		for _, w := range []protowire.Type{protowire.VarintType, protowire.Fixed32Type, protowire.Fixed64Type, protowire.BytesType} {
			for n := range 20 {
				for _, elements := range [][]byte{make([]byte, n), bytes.Repeat([]byte{0x80, 1}, n), bytes.Repeat([]byte{0x80}, n)} {
					message := append(tag(number+1, w), elements...)
					if w == protowire.BytesType {
						message = protowire.AppendBytes(tag(number+1, w), elements)
					}
					var d decoder
					got, err := d.message(message, s, 9), proto.Unmarshal(message, dynamicpb.NewMessage(m))
					if got != (err == nil) {
						t.Errorf("% x is well-formed: %v; proto.Unmarshal: %v", message, got, err)
					}
					if !got {
						rejected++
					}
				}
			}
		}
	}
	if rejected < 100 {
		t.Errorf("%d messages are malformed: the test has grown blind", rejected)
	}
}
