package policy_test

import (
	"testing"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
)

// staff is who works where in the tests of what is held.
func staff() people {
	in := func(tenant, role string) map[string]string { return map[string]string{tenant: role} }
	may := func(tenant string, permissions ...string) map[string][]string {
		return map[string][]string{tenant: permissions}
	}
	return inhabited(
		directory.Tenant{ID: "org:o1"}, directory.Tenant{ID: "org:o2"}, directory.Tenant{ID: "project:p1", Parent: "org:o1"},
		directory.Principal{ID: "user:owner", Memberships: in("org:o1", "owner")},
		directory.Principal{ID: "user:editor", Memberships: in("org:o1", "editor")},
		directory.Principal{ID: "user:viewer", Memberships: in("org:o1", "viewer")},
		directory.Principal{ID: "user:odd", Memberships: in("org:o1", "odd")},
		directory.Principal{ID: "user:odd-plus", Memberships: in("org:o1", "odd"), Permissions: may("org:o1", "doc.write", "doc.admin")},
		directory.Principal{ID: "user:former", Memberships: in("org:o1", "role-of-old")},
		directory.Principal{ID: "user:suspended", Memberships: in("org:o1", "owner"), Suspended: true},
		directory.Principal{ID: "user:left"},
		directory.Principal{ID: "user:guest", Permissions: may("org:o1", "doc.read", "doc.write", "not.declared")},
		directory.Principal{ID: "user:suspended-guest", Permissions: may("org:o1", "doc.read"), Suspended: true},
		directory.Principal{ID: "user:plus", Memberships: in("org:o1", "viewer"), Permissions: may("org:o1", "doc.write")},
		directory.Principal{ID: "user:elsewhere", Memberships: in("org:o2", "owner"), Permissions: may("org:o2", "doc.admin")},
		directory.Principal{ID: "user:helper", Memberships: map[string]string{"project:p1": "helper", "org:o1": "helper"}},
		directory.Principal{ID: "user:two", Memberships: map[string]string{"org:o1": "editor", "org:o2": "viewer"}},
		directory.Principal{ID: "user:alien", Memberships: in("team:t1", "owner"), Permissions: may("team:t1", "doc.read")},
	)
}

func TestHolds(t *testing.T) {
	p, dir := compile(t, accessible), staff()
	const all = "admin free read write | doc.admin doc.read doc.write"
	for _, tc := range []struct{ says, principal, tenant, want string }{
		{"the operator holds everything", "", "org:o1", all},
		{"the operator needs no tenant", "", "", all},
		{"an owner holds its role", "user:owner", "org:o1", all},
		{"an editor holds its role", "user:editor", "org:o1", "free read write | doc.read doc.write"},
		{"a viewer holds its role", "user:viewer", "org:o1", "read | doc.read"},
		{"a role's scope without what it requires is not held", "user:odd", "org:o1", "read | doc.read"},
		{"unless the rest is listed", "user:odd-plus", "org:o1", "admin read write | doc.admin doc.read doc.write"},
		{"a role that the policy no longer has is none", "user:former", "org:o1", " | "},
		{"one who is gone holds nothing", "user:gone", "org:o1", " | "},
		{"one who is suspended holds nothing", "user:suspended", "org:o1", " | "},
		{"one who is no member holds nothing", "user:left", "org:o1", " | "},
		{"listed permissions count without a membership, unknown ones don't", "user:guest", "org:o1", "read write | doc.read doc.write"},
		{"and not while suspended", "user:suspended-guest", "org:o1", " | "},
		{"listed permissions add to the role's", "user:plus", "org:o1", "read write | doc.read doc.write"},
		{"what is held elsewhere is not held here", "user:elsewhere", "org:o1", " | "},
		{"a role is one of the tenant's kind", "user:helper", "org:o1", " | "},
		{"and is held there", "user:helper", "project:p1", "read | doc.read"},
		{"a parent's role is not a child's", "user:owner", "project:p1", " | "},
		{"no tenant, nothing", "user:owner", "", " | "},
		{"a kind that the policy hasn't has no roles, listed permissions count", "user:alien", "team:t1", "read | doc.read"},
	} {
		if got := held(p, p.Holds(tc.principal, tc.tenant, dir)); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.says, got, tc.want)
		}
	}
}

func TestHeld(t *testing.T) {
	p, dir := compile(t, accessible), staff()
	by := func(creator string, scopes ...string) key.Facts {
		return key.Facts{Tenant: "org:o1", Creator: creator, Scopes: scopes}
	}
	as := func(creator, role string) key.Facts {
		return key.Facts{Tenant: "org:o1", Creator: creator, Role: role}
	}
	of := func(principal string) key.Facts { return key.Facts{Principal: principal} }
	for _, tc := range []struct {
		says, typ string
		record    key.Facts
		tenant    string
		want      string
	}{
		{"fixed: the creator's permissions beside the type's scopes", "fixed", by("user:viewer"), "org:o1", "read write | doc.read"},
		{"fixed: made by the operator", "fixed", by(""), "org:o1", "read write | doc.admin doc.read doc.write"},
		{"fixed: without a ceiling the creator may be gone", "fixed", by("user:gone"), "org:o1", "read write | "},
		{"fixed, ceiling: operator", "fixed-under", by(""), "org:o1", "free read write | doc.admin doc.read doc.write"},
		{"fixed, ceiling: editor", "fixed-under", by("user:editor"), "org:o1", "free read write | doc.read doc.write"},
		{"fixed, ceiling: the role was lowered", "fixed-under", by("user:viewer"), "org:o1", "read | doc.read"},
		{"fixed, ceiling: never more than was given", "fixed-under", by("user:owner"), "org:o1", "free read write | doc.admin doc.read doc.write"},
		{"fixed, ceiling: gone", "fixed-under", by("user:gone"), "org:o1", " | "},
		{"fixed, ceiling: suspended", "fixed-under", by("user:suspended"), "org:o1", " | "},
		{"fixed, ceiling: no longer a member", "fixed-under", by("user:left"), "org:o1", " | "},
		{"fixed, ceiling: a member elsewhere", "fixed-under", by("user:elsewhere"), "org:o1", " | "},

		{"chosen: none", "chosen", by(""), "org:o1", " | doc.admin doc.read doc.write"},
		{"chosen: without a ceiling the creator may be suspended", "chosen", by("user:suspended", "write"), "org:o1", "read write | "},
		{"chosen: in a child, the creator counts in the key's own tenant", "chosen", by("user:editor", "read"), "project:p1", "read | doc.read doc.write"},
		{"chosen: a role in the child is no help", "chosen", by("user:helper", "read"), "project:p1", "read | "},
		{"chosen, ceiling: operator", "chosen-under", by("", "admin"), "org:o1", "admin read write | doc.admin doc.read doc.write"},
		{"chosen, ceiling: owner", "chosen-under", by("user:owner", "admin"), "org:o1", "admin read write | doc.admin doc.read doc.write"},
		{"chosen, ceiling: what is implied is cut too", "chosen-under", by("user:viewer", "admin"), "org:o1", "read | doc.read"},
		{"chosen, ceiling: listed permissions without a membership", "chosen-under", by("user:guest", "admin", "free"), "org:o1", "read write | doc.read doc.write"},
		{"chosen, ceiling: role without the permission", "chosen-under", by("user:odd", "admin"), "org:o1", "read | doc.read"},
		{"chosen, ceiling: role that the policy no longer has", "chosen-under", by("user:former", "read"), "org:o1", " | "},
		{"chosen, ceiling: gone", "chosen-under", by("user:gone", "read"), "org:o1", " | "},
		{"chosen, ceiling: suspended", "chosen-under", by("user:suspended", "read"), "org:o1", " | "},
		{"chosen, ceiling: no longer a member", "chosen-under", by("user:left", "read", "free"), "org:o1", " | "},
		{"chosen, ceiling: more permissions give no more scopes", "chosen-under", by("user:owner", "read"), "org:o1", "read | doc.admin doc.read doc.write"},

		{"role: its scopes and permissions", "role", as("", "editor"), "org:o1", "free read write | doc.read doc.write"},
		{"role: without a ceiling the creator is not asked", "role", as("user:gone", "owner"), "org:o1", "admin free read write | doc.admin doc.read doc.write"},
		{"role: a role holds what it holds, whatever it requires", "role", as("", "odd"), "org:o1", "admin read write | doc.read"},
		{"role: gone from the policy", "role", as("", "role-of-old"), "org:o1", " | "},
		{"role: none", "role", as("", ""), "org:o1", " | "},
		{"role, ceiling: operator", "role-under", as("", "editor"), "org:o1", "free read write | doc.read doc.write"},
		{"role, ceiling: higher creator, not more than the role", "role-under", as("user:owner", "viewer"), "org:o1", "read | doc.read"},
		{"role, ceiling: creator's role was lowered", "role-under", as("user:viewer", "owner"), "org:o1", "read | doc.read"},
		{"role, ceiling: gone", "role-under", as("user:gone", "owner"), "org:o1", " | "},
		{"role, ceiling: suspended", "role-under", as("user:suspended", "owner"), "org:o1", " | "},
		{"role, ceiling: no longer a member", "role-under", as("user:left", "owner"), "org:o1", " | "},
		{"role, ceiling: role gone from the policy", "role-under", as("user:owner", "role-of-old"), "org:o1", " | "},
		{"role, ceiling: operator, role gone from the policy", "role-under", as("", "role-of-old"), "org:o1", " | "},

		{"principal: permissions in the request's tenant", "user", of("user:two"), "org:o1", "read write | doc.read doc.write"},
		{"principal: another tenant, other permissions", "user", of("user:two"), "org:o2", "read write | doc.read"},
		{"principal: no tenant, none", "user", of("user:owner"), "", "read write | "},
		{"principal: suspended", "user", of("user:suspended"), "org:o1", "read write | "},
		{"principal: gone", "user", of("user:gone"), "org:o1", "read write | "},
		{"principal: a key without one is not the operator's", "user", of(""), "org:o1", "read write | "},
		{"principal: nor is one that was a tenant's", "user", by("", "write"), "org:o1", "read write | "},
		{"principal: the creator is not asked", "user", key.Facts{Principal: "user:gone", Creator: "user:owner"}, "org:o1", "read write | "},
	} {
		if got := held(p, p.Held(p.Type(tc.typ), &tc.record, tc.tenant, dir)); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.says, got, tc.want)
		}
	}
}

// One changed record takes effect on all keys of a creator at the next check.
func TestHeldFollowsTheDirectory(t *testing.T) {
	p, dir := compile(t, accessible), staff()
	typ, r := p.Type("chosen-under"), &key.Facts{Tenant: "org:o1", Creator: "user:editor", Scopes: []string{"admin", "free"}}
	who := dir.principals["user:editor"]
	for _, step := range []struct {
		says   string
		change func()
		want   string
	}{
		{"as it was", func() {}, "free read write | doc.read doc.write"},
		{"raised", func() { who.Memberships["org:o1"] = "owner" }, "admin free read write | doc.admin doc.read doc.write"},
		{"lowered", func() { who.Memberships["org:o1"] = "viewer" }, "read | doc.read"},
		{"left", func() { delete(who.Memberships, "org:o1") }, " | "},
		{"back", func() { who.Memberships["org:o1"] = "editor" }, "free read write | doc.read doc.write"},
		{"suspended", func() { who.Suspended = true }, " | "},
		{"gone", func() { delete(dir.principals, who.ID) }, " | "},
		{"handed over", func() { r.Creator = "user:viewer" }, "read | doc.read"},
	} {
		step.change()
		if got := held(p, p.Held(typ, r, "org:o1", dir)); got != step.want {
			t.Errorf("%s: got %q, want %q", step.says, got, step.want)
		}
	}
}
