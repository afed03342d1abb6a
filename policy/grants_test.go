package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
)

// accessible is a policy with every way to come by scopes, with and without a
// ceiling. `free` requires no permission; the role `odd` holds a scope without
// the permissions that it requires.
const accessible = named + `
	permissions: ["doc.read", "doc.write", "doc.admin"]
	scopes { name: "read" requires: "doc.read" }
	scopes { name: "write" requires: "doc.write" implies: "read" }
	scopes { name: "admin" requires: ["doc.write", "doc.admin"] implies: "write" }
	scopes { name: "free" }
	tenants {
		name: "org"
		roles { name: "viewer" scopes: "read" permissions: "doc.read" }
		roles { name: "editor" scopes: ["write", "free"] permissions: ["doc.read", "doc.write"] }
		roles { name: "owner" scopes: "all" permissions: ["doc.read", "doc.write", "doc.admin"] }
		roles { name: "odd" scopes: "admin" permissions: "doc.read" }
	}
	tenants { name: "project" parent: "org" roles { name: "helper" scopes: "read" permissions: "doc.read" } }
	tenants { name: "part" parent: "project" }
	key_types { name: "fixed" format: "fi_{secret:32}" owner: "org" scopes: "write" }
	key_types { name: "every" format: "ev_{secret:32}" owner: "org" scopes: "all" }
	key_types { name: "fixed-under" format: "fu_{secret:32}" owner: "org" scopes: ["write", "free"] ceiling: CEILING_CREATOR }
	key_types { name: "chosen" format: "ch_{secret:32}" owner: "org" grantable: ["read", "write"] reaches { name: "project" children: true } }
	key_types { name: "chosen-under" format: "cu_{secret:32}" owner: "org" grantable: "all" ceiling: CEILING_CREATOR }
	key_types { name: "role" format: "ro_{secret:32}" owner: "org" role {} }
	key_types { name: "role-under" format: "ru_{secret:32}" owner: "org" role { default: "viewer" } ceiling: CEILING_CREATOR }
	key_types { name: "user" format: "us_{secret:32}" owner: "principal" scopes: "write"
		reaches { name: "org" roles: ["editor", "owner"] } reaches { name: "project" roles: "helper" } }
	endpoints { name: "Things" scopes: "read" routes: "GET /things" }`

// held writes what is held, as scopes and permissions.
func held(p *policy.Policy, h policy.Holder) string {
	return strings.Join(p.ScopeNames(h.Scopes), " ") + " | " + strings.Join(p.PermissionNames(h.Permissions), " ")
}

func TestGranted(t *testing.T) {
	p := compile(t, accessible)
	for _, tc := range []struct {
		says, typ string
		record    key.Facts
		want      string
	}{
		{"fixed: those of the type, with what they imply", "fixed", key.Facts{}, "read write"},
		{"fixed: nothing can be chosen beside them", "fixed", key.Facts{Scopes: []string{"admin"}, Role: "owner"}, "read write"},
		{"fixed: all", "every", key.Facts{}, "admin free read write"},
		{"fixed: the ceiling is not a grant", "fixed-under", key.Facts{}, "free read write"},
		{"chosen: none means none", "chosen", key.Facts{}, ""},
		{"chosen: one", "chosen", key.Facts{Scopes: []string{"read"}}, "read"},
		{"chosen: with what it implies", "chosen", key.Facts{Scopes: []string{"write"}}, "read write"},
		{"chosen: with all that it implies", "chosen-under", key.Facts{Scopes: []string{"admin"}}, "admin read write"},
		{"chosen: not beyond what is grantable", "chosen", key.Facts{Scopes: []string{"read", "admin", "free"}}, "read"},
		{"chosen: not through what is not grantable", "chosen", key.Facts{Scopes: []string{"admin"}}, ""},
		{"chosen: a scope that is gone grants nothing", "chosen", key.Facts{Scopes: []string{"gone", "read"}}, "read"},
		{"chosen: the word all is no scope", "chosen", key.Facts{Scopes: []string{"all"}}, ""},
		{"chosen: a role grants nothing", "chosen", key.Facts{Role: "owner"}, ""},
		{"role: its scopes, with what they imply", "role", key.Facts{Role: "editor"}, "free read write"},
		{"role: none without one", "role", key.Facts{}, ""},
		{"role: the default counts when a key is made, not later", "role-under", key.Facts{}, ""},
		{"role: one that is gone grants nothing", "role", key.Facts{Role: "gone"}, ""},
		{"role: one of another kind grants nothing", "role", key.Facts{Role: "helper"}, ""},
		{"role: scopes can't be chosen beside it", "role", key.Facts{Role: "viewer", Scopes: []string{"admin"}}, "read"},
		{"a principal's key", "user", key.Facts{Principal: "user:ada"}, "read write"},
	} {
		if got := strings.Join(p.ScopeNames(p.Granted(p.Type(tc.typ), &tc.record)), " "); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.says, got, tc.want)
		}
	}
}

func TestImplies(t *testing.T) {
	for _, tc := range []struct {
		says   string
		scopes string
		want   string // what one key with scope a holds
	}{
		{"nothing unless declared", `scopes { name: "a" } scopes { name: "b" } scopes { name: "ab" } scopes { name: "a:b" }`, "a"},
		{"one", `scopes { name: "a" implies: "b" } scopes { name: "b" } scopes { name: "c" }`, "a b"},
		{"not backwards", `scopes { name: "a" } scopes { name: "b" implies: "a" }`, "a"},
		{"a chain", `scopes { name: "a" implies: "b" } scopes { name: "b" implies: "c" } scopes { name: "c" implies: "d" } scopes { name: "d" }`, "a b c d"},
		{"a chain against the order of names", `scopes { name: "a" implies: "z" } scopes { name: "z" implies: "m" } scopes { name: "m" implies: "b" } scopes { name: "b" }`, "a b m z"},
		{"a circle", `scopes { name: "a" implies: "b" } scopes { name: "b" implies: "c" } scopes { name: "c" implies: "a" } scopes { name: "d" }`, "a b c"},
		{"itself", `scopes { name: "a" implies: "a" } scopes { name: "b" }`, "a"},
		{"two at once, which meet again", `scopes { name: "a" implies: ["b", "c"] } scopes { name: "b" implies: "d" } scopes { name: "c" implies: "d" } scopes { name: "d" }`, "a b c d"},
	} {
		p := compile(t, named, tc.scopes,
			`tenants { name: "org" roles { name: "r" scopes: "a" } }`,
			`key_types { name: "fixed" format: "fi_{secret:32}" owner: "org" scopes: "a" }`,
			`key_types { name: "chosen" format: "ch_{secret:32}" owner: "org" grantable: "a" }`,
			`key_types { name: "role" format: "ro_{secret:32}" owner: "org" role {} }`,
			`endpoints { name: "x" scopes: "a" routes: "GET /x" }`)
		for typ, r := range map[string]key.Facts{"fixed": {}, "chosen": {Scopes: []string{"a"}}, "role": {Role: "r"}} {
			if got := strings.Join(p.ScopeNames(p.Granted(p.Type(typ), &r)), " "); got != tc.want {
				t.Errorf("%s, %s: got %q, want %q", tc.says, typ, got, tc.want)
			}
		}
	}
}

// Any graph of scopes: what one implies is what can be walked to from it.
func TestImpliesIsReachability(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(1, 9).Draw(r, "scopes")
		edges := make([][]int, n)
		doc := named + hasOrg + `endpoints { name: "x" scopes: "s0" routes: "GET /x" }`
		for i := range n {
			edges[i] = rapid.SliceOfNDistinct(rapid.IntRange(0, n-1), 0, 3, rapid.ID[int]).Draw(r, "implies")
			var implies strings.Builder
			for _, to := range edges[i] {
				fmt.Fprintf(&implies, `implies: "s%d" `, to)
			}
			doc += fmt.Sprintf("scopes { name: \"s%d\" %s }\n", i, implies.String())
		}
		p := compile(t, doc, `key_types { name: "k" format: "k_{secret:32}" owner: "org" grantable: "all" }`)
		from := rapid.IntRange(0, n-1).Draw(r, "from")
		seen := map[int]bool{}
		var walk func(int)
		walk = func(i int) {
			if !seen[i] {
				seen[i] = true
				for _, to := range edges[i] {
					walk(to)
				}
			}
		}
		walk(from)
		var want []string
		for i := range n {
			if seen[i] {
				want = append(want, fmt.Sprintf("s%d", i))
			}
		}
		got := p.ScopeNames(p.Granted(p.Type("k"), &key.Facts{Scopes: []string{fmt.Sprintf("s%d", from)}}))
		if fmt.Sprint(got) != fmt.Sprint(want) {
			r.Fatalf("s%d of %v: got %v, want %v", from, edges, got, want)
		}
	})
}

// What a type's keys can ever reach: what their scopes could cover at best.
func TestOpens(t *testing.T) {
	p := compile(t, accessible, `
		endpoints { name: "Write" scopes: ["read", "write"] routes: "POST /things" }
		endpoints { name: "Admin" scopes: "admin" routes: "GET /admin" }
		endpoints { name: "Admin by role" scopes: "read" permissions: "doc.admin" routes: "GET /byrole" }
		endpoints { name: "Write by role" scopes: "write" permissions: "doc.write" routes: "POST /byrole" }
		endpoints { name: "Free" scopes: "free" routes: "GET /free" }
		endpoints { name: "Open" public: true routes: "GET /open" }
		key_types { name: "bounded" format: "bo_{secret:32}" owner: "org" scopes: "all" only: ["Free", "Things"] }
		tenants { name: "team" roles { name: "low" scopes: "read" } roles { name: "odd" scopes: "write" permissions: "doc.admin" } }
		key_types { name: "writer" format: "wr_{secret:32}" owner: "org" grantable: "write" }
		key_types { name: "team" format: "te_{secret:32}" owner: "team" role {} }`)
	for typ, want := range map[string]string{
		"fixed":        "Things, Write, Admin by role, Write by role, Open",
		"every":        "Things, Write, Admin, Admin by role, Write by role, Free, Open",
		"fixed-under":  "Things, Write, Admin by role, Write by role, Free, Open",
		"chosen":       "Things, Write, Admin by role, Write by role, Open",
		"writer":       "Things, Write, Admin by role, Write by role, Open", // through what write implies
		"chosen-under": "Things, Write, Admin, Admin by role, Write by role, Free, Open",
		"role":         "Things, Write, Admin, Admin by role, Write by role, Free, Open",
		"bounded":      "Things, Free",
		"team":         "Things, Write, Admin by role, Open", // by one role, never by two together
		"user":         "Things, Write, Admin by role, Write by role, Open",
	} {
		var got []string
		for _, e := range p.Endpoints() {
			if p.Type(typ).Opens(e) {
				got = append(got, e.Name)
			}
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s opens %s, want %s", typ, strings.Join(got, ", "), want)
		}
	}
	if got := p.PermissionNames(p.Requires("admin")); fmt.Sprint(got) != "[doc.admin doc.write]" {
		t.Errorf("admin requires %v", got)
	}
	if !p.Requires("free").Empty() || !p.Requires("gone").Empty() {
		t.Error("scopes without requirements have some")
	}
}
