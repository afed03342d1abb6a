package policyfile

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

// TestEmbeddedDescriptorsAreCurrent: the schema is made from policy.binpb, the
// program from the generated Go. Both come from one policy.proto.
func TestEmbeddedDescriptorsAreCurrent(t *testing.T) {
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(descriptors, &set); err != nil || len(set.GetFile()) != 1 {
		t.Fatal(err)
	}
	got := proto.Clone(set.GetFile()[0]).(*descriptorpb.FileDescriptorProto)
	got.SourceCodeInfo = nil
	want := protodesc.ToFileDescriptorProto(policyv1.File_latchkey_policy_v1_policy_proto)
	if !proto.Equal(got, want) {
		t.Error("policy.binpb is not of this policy.proto: run make generate")
	}
	if len(set.GetFile()[0].GetSourceCodeInfo().GetLocation()) == 0 {
		t.Error("policy.binpb has no comments")
	}
}

func TestSchemaIsAsReviewed(t *testing.T) {
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/policy.schema.json.golden", string(text))
	if again, _ := Schema(); !bytes.Equal(text, again) {
		t.Error("differs from call to call")
	}
}

// TestSchemaKnowsWhatLoads: an editor must not complain about a policy that loads.
func TestSchemaKnowsWhatLoads(t *testing.T) {
	for _, path := range examples(t) {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range validate(t, src) {
			t.Errorf("%s: %s", path, problem)
		}
	}
}

func TestSchemaComplains(t *testing.T) {
	const base = `
name: base
hosts: [a.example, "*.b.example"]
environments: {live: {title: production}, test: {}}
tenants: {team: {roles: [OWNER], named_by: [header x-team-id]}, user: {parent: team, roles: {a: {scopes: [chat]}}}}
permissions: [a.read]
scopes: {chat: {requires: [a.read]}, "x:y": {}}
credentials: ["Authorization: Bearer", x-api-key]
key_types:
  k: {format: "k_{environment}_{secret:30 urlsafe}{checksum}", owner: team, scopes: [all], longest_life: 1h30m, ceiling: creator, management: [{actions: [create], rule: "true"}]}
  u: {format: "u_{environment}_{secret:30}", owner: principal, reaches: {team: {roles: [OWNER]}}, role: {}}
endpoints:
  Chat Operations: {scopes: [chat], routes: ["* /v1/chat", "GET,POST /v1/chat/{id}/*/**", "GET /", "GET /**"], tenant: none}
replies:
  401: {status: 401, headers: {x-a: b}, body: {a: [1, null, {b: "{code}"}]}}
  SCOPE_MISSING, default: {message: m}
`
	if problems := validate(t, []byte(base)); len(problems) > 0 {
		t.Fatalf("the base: %v", problems)
	}
	for _, c := range []struct{ name, from, to string }{
		{"unknown field", "hosts:", "host:"},
		{"unknown field within", "tenant: none", "tenants: none"},
		{"name within", "format: \"k_", "name: k, format: \"k_"},
		{"no name", "name: base", "preflight: true"},
		{"a name in capitals", "name: base", "name: Base"},
		{"a string for a list", "[chat], routes", "chat, routes"},
		{"a number for a string", "title: production", "title: 7"},
		{"a string for true", "tenant: none", "public: \"true\""},
		{"unknown word", "ceiling: creator", "ceiling: creater"},
		{"a long word", "ceiling: creator", "ceiling: CEILING_CREATOR"},
		{"unknown action", "[create]", "[creat]"},
		{"a bad duration", "1h30m", "30m1h"},
		{"an empty duration", "1h30m", "\"\""},
		{"a number for a duration", "1h30m", "90"},
		{"a bad format", "{secret:30}\"", "{secret}\""},
		{"no format", "format: \"u_{environment}_{secret:30}\", ", ""},
		{"two grants", "role: {}", "role: {}, scopes: [chat]"},
		{"no grant", ", role: {}", ""},
		{"a bad route", "* /v1/chat\"", "get /v1/chat\""},
		{"a route that ends with a slash", "GET /**", "GET /x/"},
		{"a route with ** within", "GET /**", "GET /**/x"},
		{"a host in capitals", "a.example", "A.example"},
		{"a doubled name", "[OWNER], named", "[OWNER, OWNER], named"},
		{"reaches without how", "{team: {roles: [OWNER]}}", "{team: {}}"},
		{"a list of endpoints", "endpoints:\n  Chat Operations: {scopes: [chat], routes: [\"* /v1/chat\", \"GET,POST /v1/chat/{id}/*/**\", \"GET /\", \"GET /**\"], tenant: none}", "endpoints: [chat]"},
		{"a status that is none", "status: 401", "status: 200"},
		{"a bad place", "header x-team-id", "cookie x-team-id"},
	} {
		src := strings.Replace(base, c.from, c.to, 1)
		if src == base {
			t.Fatalf("%s: changes nothing", c.name)
		}
		if problems := validate(t, []byte(src)); len(problems) == 0 {
			t.Errorf("%s: no complaint", c.name)
		}
	}
}

// validate reads YAML as editors do and validates it by the schema.
func validate(t *testing.T, src []byte) []string {
	t.Helper()
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var root map[string]any
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(src, &document); err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	v := validator{t, root["$defs"].(map[string]any)}
	return v.check(root, plainJSON(t, document.Content[0]), filepath.Base(t.Name()))
}

// plainJSON is a YAML node as JSON has it, the keys of mappings as text.
func plainJSON(t *testing.T, n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		o := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			o[n.Content[i].Value] = plainJSON(t, n.Content[i+1])
		}
		return o
	case yaml.SequenceNode:
		a := []any{}
		for _, item := range n.Content {
			a = append(a, plainJSON(t, item))
		}
		return a
	}
	var v any
	if err := n.Decode(&v); err != nil {
		t.Fatal(err)
	}
	if i, ok := v.(int); ok {
		return float64(i)
	}
	return v
}
