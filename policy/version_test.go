package policy_test

import (
	"regexp"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/latchkey/latchkey/policy"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

// whole is a document in which every field of every message is set.
const whole = `
	name: "demo" hosts: "demo.example"
	environments { name: "live" hosts: "live.example" title: "Live" }
	tenants { name: "org" named_by: "header x-org" plans: "pro" roles { name: "r" scopes: "read" permissions: "p" } }
	tenants { name: "project" parent: "org" }
	permissions: "p"
	scopes { name: "read" description: "d" requires: "p" implies: "write" } scopes { name: "write" }
	credentials: "Authorization: Bearer"
	key_types { name: "k" description: "d" format: "k_{environment}_{secret:32}" former_formats: "j_{secret:32}" owner: "org"
		reaches { name: "project" children: true } scopes: "read" only: "e" ceiling: CEILING_CREATOR creator_required: true
		required: "name" longest_life { seconds: 1 nanos: 1 } longest_grace { seconds: 1 } rotation: ROTATION_NONE reveal: REVEAL_ALWAYS
		system_keys: true max_staleness { seconds: 1 nanos: 1 } management { actions: "create" rule: "true" message: "m" } }
	key_types { name: "l" format: "l_{environment}_{secret:32}" owner: "org" grantable: "read" }
	key_types { name: "m" format: "m_{environment}_{secret:32}" owner: "org" role { default: "r" } }
	key_types { name: "n" format: "n_{environment}_{secret:32}" owner: "principal" scopes: "read" reaches { name: "org" roles: "r" } }
	endpoints { name: "e" description: "d" scopes: "read" permissions: "p" routes: "GET /e" tenant: TENANCY_REQUIRED }
	endpoints { name: "f" public: true routes: "GET /f" }
	preflight: true percent_escapes: true
	replies { name: "403" status: 404 headers { key: "x-a" value: "1" } headers { key: "x-b" value: "2" } code: "c" message: "m"
		body { object { members { name: "a" value { array { items { text: "t" } items { literal: "1" } } } } } } }`

// clearField clears the n-th field that is set in a message or in one that it
// holds, and returns its name; nothing where there are fewer.
func clearField(m protoreflect.Message, n *int) (cleared protoreflect.FullName) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if !m.Has(fd) {
			continue
		}
		if *n--; *n < 0 {
			m.Clear(fd)
			return fd.FullName()
		}
		switch v := m.Get(fd); {
		case fd.IsList() && fd.Message() != nil:
			for i := range v.List().Len() {
				if name := clearField(v.List().Get(i).Message(), n); name != "" {
					return name
				}
			}
		case fd.Message() != nil && !fd.IsMap():
			if name := clearField(v.Message(), n); name != "" {
				return name
			}
		}
	}
	return ""
}

func TestVersion(t *testing.T) {
	doc := document(t, whole)
	p, err := policy.Compile(doc)
	if err != nil {
		t.Fatal(err)
	}
	version := p.Version()
	if !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(version) {
		t.Errorf("the version is %q", version)
	}
	for range 20 { // the order of a map must not show
		again, err := policy.Version(document(t, whole))
		if err != nil || again != version {
			t.Fatalf("the same document has version %s, and then %s, %v", version, again, err)
		}
	}
	raw, err := proto.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	stored := &policyv1.Policy{}
	if err := proto.Unmarshal(raw, stored); err != nil {
		t.Fatal(err)
	}
	if again, err := policy.Version(stored); err != nil || again != version {
		t.Errorf("stored and read, the document has version %s, %v, not %s", again, err, version)
	}

	// Without any one field that is set it is another document.
	set := map[protoreflect.FullName]bool{}
	for i := 0; ; i++ {
		changed, n := document(t, whole), i
		field := clearField(changed.ProtoReflect(), &n)
		if field == "" {
			break
		}
		set[field] = true
		if v, err := policy.Version(changed); err != nil || v == version {
			t.Errorf("without %s (the %d. field) the document has the same version, %v", field, i, err)
		}
	}
	var all func(protoreflect.MessageDescriptor, map[protoreflect.FullName]bool)
	all = func(m protoreflect.MessageDescriptor, visited map[protoreflect.FullName]bool) {
		if visited[m.FullName()] {
			return
		}
		visited[m.FullName()] = true
		for i := range m.Fields().Len() {
			fd := m.Fields().Get(i)
			if !set[fd.FullName()] && m.ParentFile() == doc.ProtoReflect().Descriptor().ParentFile() && !m.IsMapEntry() {
				t.Errorf("the test's document does not set %s", fd.FullName())
			}
			if fd.Message() != nil {
				all(fd.Message(), visited)
			}
		}
	}
	all(doc.ProtoReflect().Descriptor(), map[protoreflect.FullName]bool{})
}

func TestVersionTellsOrderAndText(t *testing.T) {
	base, err := policy.Version(document(t, minimal))
	if err != nil {
		t.Fatal(err)
	}
	for says, doc := range map[string]string{
		"another name":           minimal[:7] + "x" + minimal[7:],
		"one more scope":         minimal + `scopes { name: "x" }`,
		"another order of types": named + hasOrg + `scopes { name: "write" } scopes { name: "read" }` + hasType + hasRoute,
		"a route more":           minimal + `endpoints { name: "x" scopes: "read" routes: "GET /x" }`,
	} {
		if v, err := policy.Version(document(t, doc)); err != nil || v == base {
			t.Errorf("%s: the version is the same (%v)", says, err)
		}
	}
	if _, err := policy.Version(&policyv1.Policy{Name: "\xff"}); err == nil {
		t.Error("a document that can't be encoded has a version")
	}
	doc := document(t, minimal)
	doc.Scopes[0].Description = "\xff"
	if p, err := policy.Compile(doc); err == nil || p != nil {
		t.Error("a document that can't be encoded compiles")
	}
}
