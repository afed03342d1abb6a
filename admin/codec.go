package admin

import (
	"errors"
	"fmt"
	"regexp"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// jsonCodec is JSON in which a misspelt field is an error: else a slip in
// `expires_at` would make a key that never expires.
type jsonCodec struct{}

func (jsonCodec) Name() string { return "json" }

func (jsonCodec) Marshal(message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is no protobuf message", message)
	}
	return protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
}

func (jsonCodec) Unmarshal(data []byte, message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is no protobuf message", message)
	}
	if err := (protojson.UnmarshalOptions{}).Unmarshal(data, m); err != nil {
		return jsonMistake(err)
	}
	return nil
}

// What may be told of an error in JSON: where, and names of our own. The text
// of the request may hold a token, also at a wrong place. No token is as short
// as the longest name that is repeated.
var (
	jsonPlace   = regexp.MustCompile(`\(line (\d+:\d+)\)`)
	jsonUnknown = regexp.MustCompile(`unknown field "([A-Za-z0-9_]{1,20})"`)
	jsonKind    = regexp.MustCompile(`invalid (?:value for )?([a-z0-9]{1,10} field [A-Za-z0-9_]{1,20}\b|google\.protobuf\.(?:Timestamp|Duration))`)
)

func jsonMistake(err error) error {
	text, place := err.Error(), ""
	if found := jsonPlace.FindStringSubmatch(text); found != nil {
		place = " (line " + found[1] + ")"
	}
	if found := jsonUnknown.FindStringSubmatch(text); found != nil {
		return fmt.Errorf("unknown field %q%s: see the fields in latchkey/admin/v1/admin.proto", found[1], place)
	}
	if found := jsonKind.FindStringSubmatch(text); found != nil {
		return fmt.Errorf("wrong value for %s%s: times are written \"2030-01-31T12:00:00Z\" and durations \"3600s\"", found[1], place)
	}
	return errors.New("the JSON is malformed, or has an unknown field or a value of the wrong type" + place)
}

// protoCodec is binary protobuf that refuses fields of a later version: what a
// caller asks for and this version doesn't know must not be left out in silence.
type protoCodec struct{}

func (protoCodec) Name() string { return "proto" }

func (protoCodec) Marshal(message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is no protobuf message", message)
	}
	return proto.Marshal(m)
}

func (protoCodec) Unmarshal(data []byte, message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is no protobuf message", message)
	}
	if err := proto.Unmarshal(data, m); err != nil {
		return errors.New("the request is no valid protobuf message")
	}
	return protorange.Range(m.ProtoReflect(), func(v protopath.Values) error {
		if at, ok := v.Index(-1).Value.Interface().(protoreflect.Message); ok && len(at.GetUnknown()) > 0 {
			return errors.New("the request has a field that this version doesn't know: use a client of the same version")
		}
		return nil
	})
}
