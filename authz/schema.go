package authz

import (
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// schema is what a message's descriptor says about its encoding: enough to
// tell a well-formed message from a malformed one, and to find what a check
// needs in it. Fields are by number; a number beyond them is unknown.
type schema struct {
	fields  []fieldSchema
	use     use  // of the headers in the message; 0: it has none
	entries byte // tag of those
}

type fieldSchema struct {
	kind    fieldKind
	wire    protowire.Type
	packed  bool // repeated, and its elements may stand in one piece
	use     use
	message *schema // of isMessage and isMap
}

// fieldKind is what is checked of a field, beyond its wire type. The zero kind
// is nothing, or a field that isn't known.
type fieldKind uint8

const (
	isText    fieldKind = iota + 1 // bytes that must be UTF-8
	isMessage                      // bytes that are a message
	isMap                          // bytes that are a message for each entry
)

// use is what a check does with a field. The zero use is none: the field is
// validated and skipped.
type use uint8

const (
	useMethod use = iota + 1
	useHost
	usePath
	useMapped    // an entry of the map of headers
	useListed    // an entry of the list of headers
	useExtension // an entry of the extensions of the Envoy route
	useName      // the name of the entry at hand
	useValue
	useRaw
)

// uses are the fields that a check reads. All others are validated only.
var uses = map[protoreflect.FullName]use{
	"envoy.service.auth.v3.AttributeContext.HttpRequest.method":             useMethod,
	"envoy.service.auth.v3.AttributeContext.HttpRequest.host":               useHost,
	"envoy.service.auth.v3.AttributeContext.HttpRequest.path":               usePath,
	"envoy.service.auth.v3.AttributeContext.HttpRequest.headers":            useMapped,
	"envoy.service.auth.v3.AttributeContext.HttpRequest.HeadersEntry.key":   useName,
	"envoy.service.auth.v3.AttributeContext.HttpRequest.HeadersEntry.value": useValue,
	"envoy.config.core.v3.HeaderMap.headers":                                useListed,
	"envoy.config.core.v3.HeaderValue.key":                                  useName,
	"envoy.config.core.v3.HeaderValue.value":                                useValue,
	"envoy.config.core.v3.HeaderValue.raw_value":                            useRaw,
	"envoy.service.auth.v3.AttributeContext.context_extensions":             useExtension,
	"envoy.service.auth.v3.AttributeContext.ContextExtensionsEntry.key":     useName,
	"envoy.service.auth.v3.AttributeContext.ContextExtensionsEntry.value":   useValue,
}

// maxFieldNumber bounds a schema, which has a slot for each number.
const maxFieldNumber = 256

// checkRequest is the schema of a CheckRequest. It comes from the descriptors
// that Envoy's types are generated from, so that a newer Envoy's fields are
// validated as soon as those are updated.
var checkRequest = schemaOf((*authv3.CheckRequest)(nil).ProtoReflect().Descriptor(), map[protoreflect.FullName]*schema{})

// schemaOf returns the schema of a message and of all that it can hold. It
// panics at what no message of a check has, and proto.Unmarshal treats in ways
// of its own: groups, required fields, extensions.
func schemaOf(d protoreflect.MessageDescriptor, known map[protoreflect.FullName]*schema) *schema {
	if s := known[d.FullName()]; s != nil {
		return s
	}
	s := &schema{}
	known[d.FullName()] = s
	if d.ExtensionRanges().Len() > 0 {
		panic("authz: " + string(d.FullName()) + " has extensions")
	}
	for i := range d.Fields().Len() {
		fd := d.Fields().Get(i)
		if fd.Number() > maxFieldNumber || fd.Cardinality() == protoreflect.Required {
			panic("authz: " + string(fd.FullName()) + " is required, or has a high number")
		}
		for len(s.fields) <= int(fd.Number()) {
			s.fields = append(s.fields, fieldSchema{})
		}
		f := fieldSchema{wire: wireType(fd), use: uses[fd.FullName()]}
		f.packed = fd.IsList() && f.wire != protowire.BytesType
		switch {
		case fd.IsMap():
			f.kind = isMap
		case fd.Message() != nil:
			f.kind = isMessage
		case fd.Kind() == protoreflect.StringKind && enforcesUTF8(fd):
			f.kind = isText
		}
		if fd.Message() != nil {
			f.message = schemaOf(fd.Message(), known)
		}
		s.fields[fd.Number()] = f
		if f.use == useMapped || f.use == useListed {
			s.entries, s.use = byte(protowire.EncodeTag(fd.Number(), f.wire)), f.use
		}
	}
	return s
}

func wireType(fd protoreflect.FieldDescriptor) protowire.Type {
	switch fd.Kind() {
	case protoreflect.BoolKind, protoreflect.EnumKind, protoreflect.Int32Kind, protoreflect.Int64Kind,
		protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.Sint32Kind, protoreflect.Sint64Kind:
		return protowire.VarintType
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.Fixed64Type
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return protowire.BytesType
	default:
		panic("authz: " + string(fd.FullName()) + " is a group")
	}
}

// enforcesUTF8 reports whether a string that isn't UTF-8 makes the message
// malformed: in proto3 it does, in editions a feature says so.
func enforcesUTF8(fd protoreflect.FieldDescriptor) bool {
	if fd, ok := fd.(interface{ EnforceUTF8() bool }); ok {
		return fd.EnforceUTF8()
	}
	return fd.Syntax() == protoreflect.Proto3
}
