package policyfile

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/latchkey/latchkey/internal/strictyaml"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

const language = "../docs/policy.md"

// example is a fenced block of the documentation.
type example struct {
	line       int
	kind, text string
}

var fenced = regexp.MustCompile("(?ms)^```([a-z ]+)\n(.*?)^```$")

func examplesOf(t *testing.T) (all []example, document string) {
	t.Helper()
	src, err := os.ReadFile(language)
	if err != nil {
		t.Fatal(err)
	}
	document = string(src)
	for _, at := range fenced.FindAllStringSubmatchIndex(document, -1) {
		all = append(all, example{1 + strings.Count(document[:at[0]], "\n"), document[at[2]:at[3]], document[at[4]:at[5]]})
	}
	return all, document
}

// TestExamplesOfTheLanguage runs every example of the documentation: whole
// policies, fragments that stand in the first of them in place of the fields
// that they name, and fragments that earn the message below them.
func TestExamplesOfTheLanguage(t *testing.T) {
	all, _ := examplesOf(t)
	whole := ""
	for i, e := range all {
		t.Run(fmt.Sprintf("line %d", e.line), func(t *testing.T) {
			switch e.kind {
			case "yaml policy":
				whole = e.text
				mustLoad(t, e.text)
			case "yaml fragment":
				mustLoad(t, inPlace(e.text, whole))
			case "yaml error":
				if i+1 == len(all) || all[i+1].kind != "text" {
					t.Fatal("no message below it")
				}
				if _, err := Load("policy.yaml", []byte(inPlace(e.text, whole))); err == nil || err.Error()+"\n" != all[i+1].text {
					t.Errorf("earns\n%v\nwant\n%s", err, all[i+1].text)
				}
			case "text":
				if i == 0 || all[i-1].kind != "yaml error" {
					t.Error("a message without its example")
				}
			default:
				t.Errorf("an example of the kind %q is not run", e.kind)
			}
		})
	}
	if whole == "" || len(all) < 10 {
		t.Fatalf("only %d examples found", len(all))
	}
}

func mustLoad(t *testing.T, src string) {
	t.Helper()
	if _, err := Load("policy.yaml", []byte(src)); err != nil {
		t.Errorf("%v\n%s", err, src)
	}
	for _, problem := range validate(t, []byte(src)) {
		t.Errorf("the schema: %s", problem)
	}
}

var topField = regexp.MustCompile(`(?m)^([a-z_]+):`)

// inPlace is a fragment followed by the fields of the whole policy that it does not name.
func inPlace(fragment, whole string) string {
	named := map[string]bool{}
	for _, m := range topField.FindAllStringSubmatch(fragment, -1) {
		named[m[1]] = true
	}
	out := fragment
	starts := topField.FindAllStringSubmatchIndex(whole, -1)
	for i, at := range starts {
		end := len(whole)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		if !named[whole[at[2]:at[3]]] {
			out += whole[at[0]:end]
		}
	}
	return out
}

// TestTheLanguageIsDocumented: each field, each word of an enum and each
// attribute of a rule stands in the documentation as code.
func TestTheLanguageIsDocumented(t *testing.T) {
	_, document := examplesOf(t)
	said := func(word string) {
		t.Helper()
		if !regexp.MustCompile("`(\\{?" + regexp.QuoteMeta(word) + "\\}?|[^`\n]*\\b" + regexp.QuoteMeta(word) + "\\b[^`\n]*)`").MatchString(document) {
			t.Errorf("%s says nothing of %s", language, word)
		}
	}
	messages := (&policyv1.Policy{}).ProtoReflect().Descriptor().ParentFile().Messages()
	for i := range messages.Len() {
		if strings.HasPrefix(string(messages.Get(i).Name()), "Json") {
			continue
		}
		fields := messages.Get(i).Fields()
		for j := range fields.Len() {
			said(string(fields.Get(j).Name()))
			if enum := fields.Get(j).Enum(); enum != nil {
				saidWords(enum, said)
			}
		}
	}
	for object, attributes := range objects {
		for _, name := range namesOf(attributes) {
			said(object + "." + name)
		}
	}
	for _, action := range Actions {
		said(action)
	}
}

func saidWords(enum protoreflect.EnumDescriptor, said func(string)) {
	for _, w := range strictyaml.EnumWords(enum) {
		said(w.Text)
	}
}
