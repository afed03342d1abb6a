package policyfile

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/latchkey/latchkey/internal/reference"
	"github.com/latchkey/latchkey/internal/strictyaml"
)

func languageMessages(t *testing.T) *reference.Messages {
	t.Helper()
	file, err := reference.Open(descriptors)
	if err != nil {
		t.Fatal(err)
	}
	words := map[protoreflect.FullName]string{}
	for field, form := range forms {
		switch {
		case form.words != nil:
			words[field] = "`" + strings.Join(form.words, "` or `") + "`"
		case form.most > 0:
			words[field] = fmt.Sprintf("%d to %d", form.least, form.most)
		}
	}
	return &reference.Messages{
		File: file, Required: requiredFields, OneOf: oneOfFields, Words: words,
		Skip: []protoreflect.Name{"JsonValue", "JsonObject", "JsonMember", "JsonArray"},
		Any:  map[protoreflect.FullName]string{"google.protobuf.Duration": "duration", "latchkey.policy.v1.JsonValue": "any value"},
	}
}

// TestReference holds the reference of the language against its descriptor.
func TestReference(t *testing.T) {
	if err := reference.Keep("../docs/policy-reference.md", "the policy language", languageMessages(t).Tables(2), *update); err != nil {
		t.Error(err)
	}
}

// TestReferenceExamples reads each example of the reference as its field.
func TestReferenceExamples(t *testing.T) {
	m := languageMessages(t)
	read := 0
	for i := range m.File.Messages().Len() {
		d := m.File.Messages().Get(i)
		for j := range d.Fields().Len() {
			f := d.Fields().Get(j)
			example := strings.Trim(m.Comment(f).Example, "`")
			if example == "" {
				continue
			}
			kind, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := strictyaml.Decode("example", []byte(string(f.Name())+": "+example), kind.New().Interface()); err != nil {
				t.Errorf("the example of %s: %v", f.FullName(), err)
			}
			if form := forms[f.FullName()]; form.pattern != "" && !f.IsList() && !regexp.MustCompile("^"+form.pattern+"$").MatchString(strings.Trim(example, `"`)) {
				t.Errorf("the example of %s is no %s", f.FullName(), form.pattern)
			}
			read++
		}
	}
	if read < 30 {
		t.Errorf("only %d examples found", read)
	}
}
