package policy_test

import (
	"math"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
)

func world() people {
	return inhabited(
		directory.Tenant{ID: "org:o1"},
		directory.Tenant{ID: "org:o2"},
		directory.Tenant{ID: "org:off", Suspended: true},
		directory.Tenant{ID: "org:child", Parent: "org:o1"},
		directory.Tenant{ID: "project:p1", Parent: "org:o1"},
		directory.Tenant{ID: "project:p2", Parent: "org:o2"},
		directory.Tenant{ID: "project:poff", Parent: "org:o1", Suspended: true},
		directory.Tenant{ID: "project:under-off", Parent: "org:off"},
		directory.Tenant{ID: "project:orphan", Parent: "org:gone"},
		directory.Tenant{ID: "project:lone"},
		directory.Tenant{ID: "part:g1", Parent: "project:p1"},
		directory.Tenant{ID: "part:of-o1", Parent: "org:o1"},
		directory.Tenant{ID: "part:under-off", Parent: "project:under-off"},
		directory.Tenant{ID: "other:x", Parent: "org:o1"},
		directory.Principal{ID: "user:ada", Memberships: map[string]string{
			"org:o1": "editor", "org:o2": "viewer", "org:off": "owner", "org:gone": "owner", "org:child": "owner",
			"project:p1": "helper", "project:p2": "other", "project:poff": "helper", "project:under-off": "helper", "part:g1": "helper",
		}},
		directory.Principal{ID: "user:off", Memberships: map[string]string{"org:o1": "owner"}, Suspended: true},
		directory.Principal{ID: "user:none", Permissions: map[string][]string{"org:o1": {"doc.read"}}},
		directory.Principal{ID: "user:blank", Memberships: map[string]string{"org:o1": ""}},
	)
}

func TestReaches(t *testing.T) {
	p, dir := compile(t, accessible), world()
	own := func(tenant string) key.Facts { return key.Facts{Tenant: tenant} }
	of := func(principal string) key.Facts { return key.Facts{Principal: principal} }
	for _, tc := range []struct {
		says, typ string
		record    key.Facts
		tenant    string
		want      bool
	}{
		{"its own", "fixed", own("org:o1"), "org:o1", true},
		{"another", "fixed", own("org:o1"), "org:o2", false},
		{"its own, suspended", "fixed", own("org:off"), "org:off", false},
		{"its own, gone", "fixed", own("org:gone"), "org:gone", false},
		{"a child, where the type doesn't say so", "fixed", own("org:o1"), "project:p1", false},
		{"its own, where children are reached too", "chosen", own("org:o1"), "org:o1", true},
		{"a child", "chosen", own("org:o1"), "project:p1", true},
		{"a child of another", "chosen", own("org:o1"), "project:p2", false},
		{"a suspended child", "chosen", own("org:o1"), "project:poff", false},
		{"a child of its own that is suspended", "chosen", own("org:off"), "project:under-off", false},
		{"a child of its own that is gone", "chosen", own("org:gone"), "project:orphan", false},
		{"a project of nobody", "chosen", own("org:o1"), "project:lone", false},
		{"a grandchild", "chosen", own("org:o1"), "part:g1", false},
		{"a child of a kind that isn't named", "chosen", own("org:o1"), "part:of-o1", false},
		{"a child of its own kind", "chosen", own("org:o1"), "org:child", false},
		{"a child of a kind that isn't declared", "chosen", own("org:o1"), "other:x", false},
		{"a tenant that isn't there", "chosen", own("org:o1"), "project:gone", false},
		{"no tenant", "chosen", own("org:o1"), "", false},
		{"a key without a tenant reaches no tenant without a parent", "chosen", own(""), "project:lone", false},
		{"a key without a tenant reaches none", "chosen", own(""), "", false},
		{"a principal is no help to a tenant's key", "chosen", key.Facts{Tenant: "org:o2", Principal: "user:ada"}, "org:o1", false},

		{"a listed role", "user", of("user:ada"), "org:o1", true},
		{"a role that isn't listed", "user", of("user:ada"), "org:o2", false},
		{"a listed role in a suspended tenant", "user", of("user:ada"), "org:off", false},
		{"a listed role in a tenant that is gone", "user", of("user:ada"), "org:gone", false},
		{"a listed role of another kind", "user", of("user:ada"), "project:p1", true},
		{"a role that isn't listed, of another kind", "user", of("user:ada"), "project:p2", false},
		{"a suspended project", "user", of("user:ada"), "project:poff", false},
		{"a project with a suspended parent", "user", of("user:ada"), "project:under-off", false},
		{"a kind that isn't listed", "user", of("user:ada"), "part:g1", false},
		{"no membership", "user", of("user:ada"), "project:lone", false},
		{"suspended principal", "user", of("user:off"), "org:o1", false},
		{"principal that is gone", "user", of("user:gone"), "org:o1", false},
		{"permissions are no membership", "user", of("user:none"), "org:o1", false},
		{"an empty role", "user", of("user:blank"), "org:o1", false},
		{"no principal", "user", of(""), "org:o1", false},
		{"a tenant is no help to a principal's key", "user", own("org:o1"), "org:o1", false},
	} {
		if got := p.Reaches(p.Type(tc.typ), &tc.record, tc.tenant, dir); got != tc.want {
			t.Errorf("%s: got %v, want %v", tc.says, got, tc.want)
		}
	}
}

func TestReach(t *testing.T) {
	p, dir := compile(t, accessible), world()
	for _, tc := range []struct {
		says, typ string
		record    key.Facts
		want      string
	}{
		{"its own", "fixed", key.Facts{Tenant: "org:o1"}, "org:o1"},
		{"its own, even where children are reached too", "chosen", key.Facts{Tenant: "org:o1"}, "org:o1"},
		{"all that its principal reaches, sorted", "user", key.Facts{Principal: "user:ada"}, "org:child org:o1 project:p1"},
		{"none while suspended", "user", key.Facts{Principal: "user:off"}, ""},
		{"none when gone", "user", key.Facts{Principal: "user:gone"}, ""},
		{"none without memberships", "user", key.Facts{Principal: "user:none"}, ""},
	} {
		if got := strings.Join(reach(p, tc.typ, &tc.record, dir), " "); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.says, got, tc.want)
		}
	}
}

// reach is Reach without a limit.
func reach(p *policy.Policy, keyType string, r *key.Facts, dir directory.Reader) []string {
	all, _ := p.Reach(nil, p.Type(keyType), r, dir, math.MaxInt)
	return all
}
