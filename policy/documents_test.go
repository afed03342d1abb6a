package policy_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/policy"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

// stored is a document as a store has it.
func stored(t *testing.T, text string) []byte {
	t.Helper()
	doc := &policyv1.Policy{}
	if err := prototext.Unmarshal([]byte(text), doc); err != nil {
		t.Fatal(err)
	}
	b, err := proto.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDocuments(t *testing.T) {
	compiled := 0
	d := &policy.Documents[*policy.Policy]{Compile: func(doc *policyv1.Policy) (*policy.Policy, error) {
		compiled++
		return policy.Compile(doc)
	}}
	a := stored(t, `name: "a" hosts: "a.example"`+hasOrg+hasScopes+hasRoute+hasType)
	b := stored(t, `name: "b" hosts: "b.example"`+hasOrg+hasScopes+hasRoute+hasType)
	all, err := d.All(map[string][]byte{"b": b, "a": a})
	if err != nil || len(all) != 2 || all[0].Name() != "a" || all[1].Name() != "b" || compiled != 2 {
		t.Fatalf("%d policies, %d compiled, %v", len(all), compiled, err)
	}
	// What didn't change isn't compiled again, and is the same value.
	c := stored(t, `name: "c" hosts: "c.example"`+hasOrg+hasScopes+hasRoute+hasType)
	again, err := d.All(map[string][]byte{"a": a, "c": c})
	if err != nil || len(again) != 2 || again[0] != all[0] || compiled != 3 {
		t.Errorf("%d policies, %d compiled, %v", len(again), compiled, err)
	}
	// All mistakes at once, and those of before stay remembered.
	_, err = d.All(map[string][]byte{"a": a, "x": []byte("\xff"), "y": b, "z": stored(t, `name: "z"`)})
	for _, want := range []string{`policy "x": `, `policy "y": its document calls it "b"`, `policy "z": `} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error says %v, and not %s", err, want)
		}
	}
	compiled = 0
	if _, err := d.All(map[string][]byte{"a": a, "c": c}); err != nil || compiled != 0 {
		t.Errorf("%d compiled again, %v", compiled, err)
	}
	if all, err := d.All(nil); err != nil || len(all) != 0 {
		t.Errorf("of nothing come %d policies, %v", len(all), err)
	}
}
