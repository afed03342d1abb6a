package reload

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	configv1 "github.com/latchkey/latchkey/proto/latchkey/config/v1"
)

// configurations are those of processes that go on running.
var configurations = []proto.Message{&configv1.Serve{}, &configv1.Sidecar{}}

// Whoever adds a field to a configuration says whether a change of it takes a restart.
func TestEachFieldIsHotOrCold(t *testing.T) {
	for _, m := range configurations {
		d := m.ProtoReflect().Descriptor()
		said := fields[d.FullName()]
		for i := range d.Fields().Len() {
			name := d.Fields().Get(i).Name()
			if _, ok := said[name]; !ok {
				t.Errorf("%s.%s is neither hot nor cold: add it to `fields`, and to the table of docs/reload.md", d.Name(), name)
			}
		}
		for name := range said {
			if d.Fields().ByName(name) == nil {
				t.Errorf("%s has no field %s: take it out of `fields`", d.Name(), name)
			}
		}
	}
	if len(fields) != len(configurations) {
		t.Errorf("`fields` is of %d messages, want %d", len(fields), len(configurations))
	}
}

// Each cold field that differs is told of, alone and with all others, and no hot one is.
func TestColdFieldsThatDiffer(t *testing.T) {
	for _, m := range configurations {
		all, want := m.ProtoReflect().New(), []string(nil)
		d := all.Descriptor()
		for i := range d.Fields().Len() {
			field := d.Fields().Get(i)
			one := m.ProtoReflect().New()
			for _, into := range []protoreflect.Message{one, all} {
				fill(into, field)
			}
			got := Cold(m, one.Interface())
			if fields[d.FullName()][field.Name()] == hot {
				if len(got) > 0 {
					t.Errorf("%s: a restart for %v", field.FullName(), got)
				}
				continue
			}
			want = append(want, string(field.Name()))
			if !slices.Equal(got, want[len(want)-1:]) || !slices.Equal(Cold(one.Interface(), m), got) {
				t.Errorf("%s: a restart for %v", field.FullName(), got)
			}
		}
		if got := Cold(m, all.Interface()); !slices.Equal(got, want) {
			t.Errorf("%s: a restart for %v, want %v", d.Name(), got, want)
		}
		if got := Cold(all.Interface(), proto.Clone(all.Interface())); got != nil {
			t.Errorf("%s: the same takes a restart for %v", d.Name(), got)
		}
	}
}

// fill sets a field to something.
func fill(m protoreflect.Message, field protoreflect.FieldDescriptor) {
	one := func() protoreflect.Value { return m.NewField(field) }
	switch {
	case field.IsList():
		list := one().List()
		list.Append(list.NewElement())
		m.Set(field, protoreflect.ValueOfList(list))
	case field.IsMap(), field.Message() != nil:
		m.Set(field, one())
	case field.Kind() == protoreflect.StringKind:
		m.Set(field, protoreflect.ValueOfString("another"))
	case field.Kind() == protoreflect.BoolKind:
		m.Set(field, protoreflect.ValueOfBool(true))
	default:
		m.Set(field, one())
	}
}

func TestFlagsWin(t *testing.T) {
	file := &configv1.Serve{Policy: []string{"a", "b"}, Listen: "unix:a", LogLevel: "warn", Tls: &configv1.TLS{Key: "k"}}
	flags := &configv1.Serve{Policy: []string{"c"}, Listen: "unix:b"}
	want := &configv1.Serve{Policy: []string{"c"}, Listen: "unix:b", LogLevel: "warn", Tls: &configv1.TLS{Key: "k"}}
	if got := under(file, flags); !proto.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if len(file.GetPolicy()) != 2 || file.GetListen() != "unix:a" {
		t.Errorf("what the file says was changed: %v", file)
	}
	// What a flag says of a file's field, the file doesn't change.
	if got := Cold(want, under(&configv1.Serve{Listen: "unix:x", LogLevel: "warn", Tls: &configv1.TLS{Key: "k"}}, flags)); got != nil {
		t.Errorf("a restart for %v", got)
	}
}

// The table of the document says of each field what the process does.
func TestDocumentedFields(t *testing.T) {
	text, err := os.ReadFile("../../docs/reload.md")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (at once|after a restart) \\|").FindAllStringSubmatch(string(text), -1) {
		said[row[1]] = row[2]
	}
	is := map[when]string{hot: "at once", cold: "after a restart"}
	for message, all := range fields {
		for name, when := range all {
			if got := said[string(name)]; got != is[when] {
				t.Errorf("docs/reload.md says of %s that it is in use %q, and %s has it %s", name, got, message.Name(), is[when])
			}
		}
	}
	for name := range said {
		_, serve := fields["latchkey.config.v1.Serve"][protoreflect.Name(name)]
		_, sidecar := fields["latchkey.config.v1.Sidecar"][protoreflect.Name(name)]
		if !serve && !sidecar {
			t.Errorf("docs/reload.md has a field %s that there isn't", name)
		}
	}
}
