package policy

import (
	"google.golang.org/protobuf/reflect/protoreflect"
)

// understood notes what this version of Latchkey doesn't understand: fields and
// words that a newer one added. Each may forbid something, so a document that
// holds any is refused and never read in part.
func (a at) understood(m protoreflect.Message) {
	const remedy = "the policy was made by a newer version of Latchkey: use that one here too"
	if len(m.GetUnknown()) > 0 {
		a.note(remedy, "it holds fields that this version doesn't know")
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if !m.Has(field) || field.IsMap() { // maps are of strings, all of them
			continue
		}
		v, here := m.Get(field), a.in(field.Name())
		one := func(a at, v protoreflect.Value) {
			switch field.Kind() {
			case protoreflect.MessageKind:
				a.understood(v.Message())
			case protoreflect.EnumKind:
				if field.Enum().Values().ByNumber(v.Enum()) == nil {
					a.note(remedy, "the value %d is none that this version knows", v.Enum())
				}
			}
		}
		if !field.IsList() {
			one(here, v)
			continue
		}
		for j := range v.List().Len() {
			one(here.in(j), v.List().Get(j))
		}
	}
}
