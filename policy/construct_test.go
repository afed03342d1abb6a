package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/policy"
)

// One good document for every construct, and what comes of it.

func TestEnvironments(t *testing.T) {
	p := compile(t, environments, `environments { name: "test" title: "the \"staging\" area" hosts: ["t.example", "*.t.example"] }`)
	if got := strings.Join(p.Environments(), " "); got != "live test" {
		t.Errorf("environments: %s", got)
	}
	if got := strings.Join(p.Hosts(), " "); got != "api.demo.example t.example *.t.example" {
		t.Errorf("hosts: %s", got)
	}
	if e := p.Environment("live"); e == nil || *e != (policy.Environment{Name: "live", Title: "live"}) {
		t.Errorf("live: %+v", e)
	}
	if e := p.Environment("test"); e == nil || *e != (policy.Environment{Name: "test", Title: `the "staging" area`}) {
		t.Errorf("test: %+v", e)
	}
	if p.Environment("dev") != nil || p.Environment("") != nil {
		t.Error("there are environments that aren't declared")
	}
	if none := compile(t, minimal); len(none.Environments()) != 0 || none.HasEnvironments() || !p.HasEnvironments() {
		t.Errorf("a policy without environments has %v", none.Environments())
	}
}

func TestTenants(t *testing.T) {
	p := compile(t, minimal, `permissions: ["b", "a"]
		tenants { name: "project" parent: "org" plans: ["pro", "free"]
			roles { name: "Admin" scopes: "all" permissions: ["b", "a"] } roles { name: "none" } }`)
	if got := strings.Join(p.Kinds(), " "); got != "org project" {
		t.Errorf("kinds: %s", got)
	}
	k := p.Kind("project")
	if k == nil || k.Name != "project" || k.Parent != "org" || strings.Join(k.Plans, " ") != "pro free" || len(k.Roles) != 2 {
		t.Fatalf("project: %+v", k)
	}
	if got := held(p, policy.Holder{Scopes: k.Roles["Admin"].Scopes, Permissions: k.Roles["Admin"].Permissions}); got != "read write | a b" {
		t.Errorf("admin: %s", got)
	}
	if none := k.Roles["none"]; none.Name != "none" || !none.Scopes.Empty() || !none.Permissions.Empty() {
		t.Errorf("none: %+v", none)
	}
	if p.Kind("team") != nil || p.Kind("") != nil {
		t.Error("there are kinds that aren't declared")
	}
}

func TestTenantPlaces(t *testing.T) {
	p := compile(t, minimal, `
		tenants { name: "team" named_by: ["header X-Team_ID", "path team_1", "query team"] }
		tenants { name: "part" named_by: "header x-part" }
		endpoints { name: "t" scopes: "read" routes: "GET /teams/{team_1}/{x}" }`)
	want := []policy.TenantPlace{
		{In: policy.InHeader, Name: "x-team_id", Kind: "team"},
		{In: policy.InPath, Name: "team_1", Kind: "team"},
		{In: policy.InQuery, Name: "team", Kind: "team"},
		{In: policy.InHeader, Name: "x-part", Kind: "part"},
	}
	if got := p.TenantPlaces(); !slices.Equal(got, want) {
		t.Errorf("got %+v", got)
	}
	if got := compile(t, minimal).TenantPlaces(); len(got) != 0 {
		t.Errorf("none declared: %+v", got)
	}
}

func TestCredentials(t *testing.T) {
	for _, tc := range []struct {
		doc  string
		want []policy.Credential
	}{
		{"", []policy.Credential{{Header: "authorization", Bearer: true}}},
		{`credentials: "Authorization: Bearer"`, []policy.Credential{{Header: "authorization", Bearer: true}}},
		{`credentials: "authorization:bearer"`, []policy.Credential{{Header: "authorization", Bearer: true}}},
		{`credentials: "X-Api-Key"`, []policy.Credential{{Header: "x-api-key"}}},
		{`credentials: ["x-api-key", "Authorization: Bearer", "X-Key: BEARER"]`, []policy.Credential{{Header: "x-api-key"}, {"authorization", true}, {"x-key", true}}},
	} {
		if got := compile(t, minimal, tc.doc).Credentials(); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %+v", tc.doc, got)
		}
	}
}

func TestEndpoints(t *testing.T) {
	p := compile(t, minimal, `permissions: ["p", "q"] preflight: true
		endpoints { name: "All of it" scopes: "all" permissions: ["q", "p"] routes: "* /all" tenant: TENANCY_REQUIRED }
		endpoints { name: "None" scopes: "read" routes: "* /none" tenant: TENANCY_NONE }
		endpoints { name: "Some" scopes: "write" routes: "* /some" tenant: TENANCY_OPTIONAL }
		endpoints { name: "Open" public: true routes: "* /open" }`)
	var got []string
	for _, e := range p.Endpoints() {
		got = append(got, fmt.Sprintf("%s: %v %v needs=%v none=%v public=%v", e.Name, p.ScopeNames(e.Scopes), p.PermissionNames(e.Permissions), e.NeedsTenant, e.NoTenant, e.Public))
	}
	want := []string{
		"Things: [read] [] needs=false none=false public=false",
		"All of it: [read write] [p q] needs=true none=false public=false",
		"None: [read] [] needs=false none=true public=false",
		"Some: [write] [] needs=false none=false public=false",
		"Open: [] [] needs=false none=false public=true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	if !p.HasPermissions() || compile(t, minimal).HasPermissions() {
		t.Error("permissions are told where none are declared, or aren't where some are")
	}
	if !p.Preflights() || compile(t, minimal).Preflights() {
		t.Error("preflights pass where they are not declared, or don't where they are")
	}
}

func TestKeyTypes(t *testing.T) {
	p := compile(t, minimal, `
		tenants { name: "team" roles { name: "low" scopes: "read" } roles { name: "high" scopes: "all" } }
		key_types { name: "full" description: "A key" format: "fu_{secret:32}" owner: "team" role { default: "low" } ceiling: CEILING_CREATOR
			creator_required: true required: ["name", "expires", "description"] longest_life { seconds: 3600 } longest_grace {}
			rotation: ROTATION_NONE reveal: REVEAL_ALWAYS system_keys: true max_staleness { seconds: 30 } }
		key_types { name: "user" format: "us_{secret:32}" owner: "principal" scopes: "all" rotation: ROTATION_IN_PLACE reveal: REVEAL_ONCE
			reaches { name: "team" roles: "low" } }`)
	if got := strings.Join(p.Types(), " "); got != "full secret user" {
		t.Errorf("types: %s", got)
	}
	f := p.Type("full")
	if f.Name != "full" || f.Description != "A key" || f.Owner != "team" || f.Grant != policy.ByRole || f.DefaultRole != "low" || len(f.Roles) != 2 ||
		!f.Ceiling || !f.CreatorRequired || strings.Join(f.Required, " ") != "name expires description" ||
		f.LongestLife == nil || *f.LongestLife != time.Hour || f.LongestGrace == nil || *f.LongestGrace != 0 ||
		f.MaxStaleness != 30*time.Second || f.RotatesInPlace || !f.Revealable || !f.SystemKeys {
		t.Errorf("full: %+v", f)
	}
	s := p.Type("secret")
	if s.Owner != "org" || s.Grant != policy.Chosen || s.Ceiling || s.CreatorRequired || len(s.Required) != 0 || s.LongestLife != nil || s.LongestGrace != nil ||
		s.MaxStaleness != 0 || !s.RotatesInPlace || s.Revealable || s.SystemKeys || s.Roles != nil || s.Scopes != p.Scopes() {
		t.Errorf("what is not said of secret: %+v", s)
	}
	u := p.Type("user")
	if u.Owner != "" || u.Grant != policy.Fixed || !u.RotatesInPlace || u.Revealable || u.Scopes != p.Scopes() {
		t.Errorf("user: %+v", u)
	}
	if p.Type("gone") != nil || p.Type("") != nil {
		t.Error("there are types that aren't declared")
	}
}
