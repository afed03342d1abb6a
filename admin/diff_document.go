package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

// documentDiff compares two documents field by field, whatever fields the
// language has, so that none is forgotten.
func documentDiff(old, next *policyv1.Policy) []*adminv1.DocumentDifference {
	d := &documents{}
	d.messages(nil, old.ProtoReflect(), next.ProtoReflect())
	return d.list
}

type documents struct{ list []*adminv1.DocumentDifference }

func (d *documents) note(place []string, old, next []string) {
	if len(old)+len(next) > 0 {
		d.list = append(d.list, &adminv1.DocumentDifference{Place: strings.Join(place, ": "), Old: old, New: next})
	}
}

func at(place []string, name string) []string { return append(slices.Clone(place), name) }

// messages compares two messages of one type.
func (d *documents) messages(place []string, old, next protoreflect.Message) {
	fields := old.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		here := at(place, string(f.Name()))
		a, b := old.Get(f), next.Get(f)
		switch {
		case f.IsMap():
			d.maps(here, a.Map(), b.Map())
		case f.IsList() && named(f):
			d.named(here, a.List(), b.List())
		case f.IsList():
			d.lists(here, texts(f, a.List()), texts(f, b.List()))
		case f.Message() != nil && old.Has(f) && next.Has(f) && !whole(f):
			d.messages(here, a.Message(), b.Message())
		default:
			var was, is []string
			if old.Has(f) {
				was = []string{text(f, a)}
			}
			if next.Has(f) {
				is = []string{text(f, b)}
			}
			if !slices.Equal(was, is) {
				d.note(here, was, is)
			}
		}
	}
}

// named reports whether the messages of a list are known by their names.
func named(f protoreflect.FieldDescriptor) bool {
	return f.Message() != nil && f.Message().Fields().ByName("name") != nil
}

// whole reports whether a message is told as one value.
func whole(f protoreflect.FieldDescriptor) bool {
	name := f.Message().FullName()
	return name == (&durationpb.Duration{}).ProtoReflect().Descriptor().FullName() || name == (&policyv1.JsonValue{}).ProtoReflect().Descriptor().FullName()
}

func nameOf(m protoreflect.Message) string {
	return m.Get(m.Descriptor().Fields().ByName("name")).String()
}

// named compares lists of things that have names.
func (d *documents) named(place []string, old, next protoreflect.List) {
	names := func(l protoreflect.List) (all []string) {
		for i := range l.Len() {
			all = append(all, nameOf(l.Get(i).Message()))
		}
		return all
	}
	was, is := names(old), names(next)
	d.lists(place, was, is)
	for i, name := range is {
		if j := slices.Index(was, name); j >= 0 {
			d.messages(at(place, name), old.Get(j).Message(), next.Get(i).Message())
		}
	}
}

// lists compares lists of texts: what only one of them has, or else their order.
func (d *documents) lists(place []string, old, next []string) {
	without := func(list, others []string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(others, s) })
	}
	gone, came := without(old, next), without(next, old)
	if d.note(place, gone, came); len(gone)+len(came) == 0 && !slices.Equal(old, next) {
		d.note(at(place, "order"), []string{strings.Join(old, ", ")}, []string{strings.Join(next, ", ")})
	}
}

// maps compares maps of texts.
func (d *documents) maps(place []string, old, next protoreflect.Map) {
	keys := map[string]bool{}
	for _, m := range []protoreflect.Map{old, next} {
		m.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool { keys[k.String()] = true; return true })
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		value := func(m protoreflect.Map) []string {
			if v := m.Get(protoreflect.ValueOfString(k).MapKey()); v.IsValid() {
				return []string{fmt.Sprint(v.Interface())}
			}
			return nil
		}
		if was, is := value(old), value(next); !slices.Equal(was, is) {
			d.note(at(place, k), was, is)
		}
	}
}

func texts(f protoreflect.FieldDescriptor, l protoreflect.List) (all []string) {
	for i := range l.Len() {
		all = append(all, text(f, l.Get(i)))
	}
	return all
}

// text is a value as it is told.
func text(f protoreflect.FieldDescriptor, v protoreflect.Value) string {
	switch {
	case f.Enum() != nil:
		name := string(f.Enum().Values().ByNumber(v.Enum()).Name())
		return strings.ToLower(name[strings.LastIndexByte(name, '_')+1:])
	case f.Message() == nil:
		return fmt.Sprint(v.Interface())
	}
	m := v.Message().Interface()
	if d, ok := m.(*durationpb.Duration); ok {
		if d.AsDuration() == 0 {
			return "0s"
		}
		return span(d.AsDuration().Round(time.Nanosecond))
	}
	if j, ok := m.(*policyv1.JsonValue); ok {
		return jsonText(j)
	}
	return compact(m)
}

// jsonText is a JSON value as a policy file has it.
func jsonText(v *policyv1.JsonValue) string {
	quoted := func(s string) string {
		b, _ := json.Marshal(s) // text can always be written
		return string(b)
	}
	var parts []string
	switch v.GetValue().(type) {
	case *policyv1.JsonValue_Text:
		return quoted(v.GetText())
	case *policyv1.JsonValue_Object:
		for _, m := range v.GetObject().GetMembers() {
			parts = append(parts, quoted(m.GetName())+":"+jsonText(m.GetValue()))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case *policyv1.JsonValue_Array:
		for _, item := range v.GetArray().GetItems() {
			parts = append(parts, jsonText(item))
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	return v.GetLiteral()
}

// compact is a message as JSON without the spaces that differ from run to run.
func compact(m proto.Message) string {
	b, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	var out bytes.Buffer
	if err == nil {
		err = json.Compact(&out, b)
	}
	if err != nil {
		return err.Error()
	}
	return out.String()
}
