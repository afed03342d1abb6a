package policy_test

import (
	"testing"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
)

// packed is a directory as a store has it: what it returns is ready made.
type packed struct {
	tenants    map[string]directory.Tenant
	principals map[string]directory.Person
}

func (d packed) Tenant(id string) (directory.Tenant, bool) {
	t, ok := d.tenants[id]
	return t, ok
}

func (d packed) Principal(id string) (directory.Person, bool) {
	p, ok := d.principals[id]
	return p, ok
}

// step is one thing that a check asks of a policy and the directory.
type step struct {
	name string
	do   func() bool // whether the answer is as expected
}

func accessSteps(t testing.TB) []step {
	p := compile(t, named,
		`tenants { name: "org" roles { name: "editor" scopes: "read" permissions: "doc.write" } }`,
		`permissions: "doc.read" permissions: "doc.write"`,
		`scopes { name: "read" } scopes { name: "write" requires: "doc.write" }`,
		`key_types { name: "under" format: "sk_{secret:32}{checksum}" owner: "org" grantable: "all" ceiling: CEILING_CREATOR }`,
		`key_types { name: "role" format: "ro_{secret:32}" owner: "org" role {} }`,
		`key_types { name: "personal" format: "uk_{secret:32}" owner: "principal" scopes: "read" reaches { name: "org" roles: "editor" } }`,
		`endpoints { name: "Things" scopes: "read" routes: "GET /v1/things" routes: "GET /v1/things/{id}" routes: "* /v1/things/{id}/parts/**" }`)
	ada := &directory.Principal{
		ID: "user:ada", Memberships: map[string]string{"org:o1": "editor"},
		Permissions: map[string][]string{"org:o1": {"doc.read"}},
	}
	var dir directory.Reader = packed{map[string]directory.Tenant{"org:o1": {ID: "org:o1"}}, map[string]directory.Person{ada.ID: ada.Packed()}}
	under := &key.Facts{Tenant: "org:o1", Creator: "user:ada", Scopes: []string{"read", "write"}}
	role := &key.Facts{Tenant: "org:o1", Role: "editor"}
	personal := &key.Facts{Principal: "user:ada"}
	buffer := make([]string, 0, 4)
	return []step{
		{"Digest", func() bool { return plainToken.Digest() != (key.Digest{}) }},
		{"Held, chosen and bounded", func() bool {
			return p.Held(p.Type("under"), under, "org:o1", dir).Scopes.Covers(p.Scopes())
		}},
		{"Held, by role", func() bool { return !p.Held(p.Type("role"), role, "org:o1", dir).Scopes.Empty() }},
		{"Held, of a principal", func() bool { return !p.Held(p.Type("personal"), personal, "org:o1", dir).Permissions.Empty() }},
		{"Reaches", func() bool { return p.Reaches(p.Type("personal"), personal, "org:o1", dir) }},
		{"Reach", func() bool {
			reached, few := p.Reach(buffer[:0], p.Type("personal"), personal, dir, 4096)
			return few && len(reached) == 1
		}},
	}
}

// Nothing that a check asks of a policy and the directory allocates.
func TestAccessAllocatesNothing(t *testing.T) {
	for _, s := range accessSteps(t) {
		if !s.do() {
			t.Errorf("%s: the answer is wrong", s.name)
		}
		if n := testing.AllocsPerRun(100, func() { s.do() }); n != 0 {
			t.Errorf("%s: %v allocations", s.name, n)
		}
	}
}

func BenchmarkAccess(b *testing.B) {
	for _, s := range accessSteps(b) {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.do()
			}
		})
	}
}
