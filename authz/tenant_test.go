package authz

import (
	"fmt"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/policy"
)

// TestTenantsThatAreNamed asks with a key of team:t_1 on an endpoint that
// needs no particular tenant.
func TestTenantsThatAreNamed(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("a", 128)
	w.tenants["team:"+long] = &directory.Tenant{ID: "team:" + long, Parent: "org:o_1"}
	const own, other = "team:t_1", "TENANT_MISMATCH"
	for _, c := range []struct {
		target, headers string // headers are separated by |
		want            string // the tenant that is verified, or a reason
	}{
		// A header.
		{"/things", "", own},
		{"/things", "x-team-id: t_1", own},
		{"/things", "x-team-id: ", own}, // empty isn't filled
		{"/things", "x-team-id: t_2", other},
		{"/things", "x-team-id: t_9", other},
		{"/things", "x-team-id: T_1", other},
		{"/things", "x-team-id: team:t_1", other},
		{"/things", "x-team-id:  t_1", other},
		{"/things", "x-team-id: t_1 ", other},
		{"/things", "x-team-id:  ", other},
		{"/things", "x-team-id: t_1\xff", other},
		{"/things", "x-team-id: t%5f1", other},
		{"/things", "x-team-id: t_1,t_1", other},
		{"/things", "x-team-id: t_1,", other},
		{"/things", "x-team-id: ,", other},
		{"/things", "x-team-id: t_1|x-team-id: t_1", other},
		{"/things", "x-team-id: |x-team-id: t_1", other},
		{"/things", "x-team-id: |x-team-id: ", other},
		{"/things", "x-team-id: " + long, other}, // exists, and isn't reached
		{"/things", "x-team-id: " + long + "a", other},
		{"/things", "x_team_id: t_2", own}, // another header
		{"/things", "x-org-id: t_1", other},
		{"/things", "x-org-id: o_1", other}, // not even its own parent
		{"/things", "x-org-id: |x-team-id: t_1", own},

		// A path parameter.
		{"/teams/t_1", "", own},
		{"/teams/t_1/x/t_2", "", own},
		{"/teams/t_2", "", other},
		{"/teams/t_1/", "", "ENDPOINT_UNKNOWN"},
		{"/teams/T_1", "", other},
		{"/teams/team:t_1", "", other},
		{"/teams/t_1,t_2", "", other},
		{"/teams/t_1@", "", other},
		{"/teams/" + long + "a", "", other},

		// A query parameter.
		{"/things?team=t_1", "", own},
		{"/things?team=", "", own},
		{"/things?team", "", own},
		{"/things?", "", own},
		{"/things?a=b&team=t_1&c", "", own},
		{"/things?&&team=t_1&", "", own},
		{"/things?Team=t_2", "", own},
		{"/things?team[]=t_2", "", own},
		{"/things?xteam=t_2&team2=t_2", "", own},
		{"/things?x=team=t_2", "", own},
		{"/things?team=t_2", "", other},
		{"/things?team==t_1", "", other},
		{"/things?team=t_1=", "", other},
		{"/things?team=t_1&team=t_1", "", other},
		{"/things?team=&team=t_1", "", other},
		{"/things?team=t_1&team=", "", other},
		{"/things?team&team", "", other},
		{"/things?te%61m=t_1", "", own},
		{"/things?te%61m=t_2", "", other},
		{"/things?%74%65%61%6D=t_2", "", other},
		{"/things?%74%65%61%6d=t_2", "", other},
		{"/things?team=t_1&te%61m=t_2", "", other},
		{"/things?te%2561m=t_2", "", own}, // decoded once, as servers do
		{"/things?te%6=t_2&te%zzam=t_2&team%=t_2&%", "", own},
		{"/things?team=t%5f1", "", other},
		{"/things?team=t_1%00", "", other},
		{"/things?team=t+1", "", other},
		{"/things?team=%20t_1", "", other},
		{"/things?+team=t_2", "", own},
		{"/things?team=t_1?team=t_2", "", other},
		{"/things?team=t_1;x=1", "", other},
		{"/things?x=1;team=t_2", "", other},
		{"/things?x=1;team=t_1", "", other},
		{"/things?a;b", "", own},
		{"/things?team=;team=", "", other},
		{"/things?;team=", "", own},
		{"/things?team=t_1#team=t_2", "", other},

		// Several places.
		{"/teams/t_1?team=t_1", "x-team-id: t_1", own},
		{"/teams/t_1", "x-team-id: t_2", other},
		{"/teams/t_2", "x-team-id: t_1", other},
		{"/teams/t_1?team=t_2", "x-team-id: t_1", other},
		{"/teams/t_1?team=", "x-team-id: ", own},
		{"/teams/t_1", "x-team-id: t_1,t_1", other},
		{"/teams/t_1", "x-org-id: o_1", other},
		{"/teams/t_1", "x-org-id: t_1", other}, // one name, two kinds

		// Where none is needed, one that is named is verified all the same.
		{"/me", "", own},
		{"/me", "x-team-id: t_1", own},
		{"/me", "x-team-id: t_2", other},
		{"/me?team=t_2", "", other},
		{"/inbox", "", own},
		{"/inbox", "x-team-id: t_2", other},
	} {
		headers := []string{bearer("key_full")}
		if c.headers != "" {
			headers = append(headers, strings.Split(c.headers, "|")...)
		}
		for _, f := range []form{mapped, raw} {
			got := w.check(t, envoy(f, "GET", c.target, headers...))
			if c.want != own {
				if got.reason != c.want {
					t.Errorf("%s %q: %s, want %s", c.target, c.headers, got.reason, c.want)
				}
				continue
			}
			if got.headers["x-latchkey-tenant"] != own || got.headers["x-team-id"] != "t_1" || !got.removed["x-org-id"] {
				t.Errorf("%s %q: %s, the upstream gets %v and loses %v", c.target, c.headers, got.reason, got.headers, got.removed)
			}
		}
	}
}

// TestTenantsThatAreReached asks with each kind of key.
func TestTenantsThatAreReached(t *testing.T) {
	for _, c := range []struct {
		key, target, header string
		world               func(*world)
		want                policy.Reason
		tenant, tenants     string
		plan                string
	}{
		// A principal's key reaches where its principal has a listed role now.
		{key: "key_user", target: "/things", tenant: "team:t_1", plan: "free"},
		{key: "key_user", target: "/things", header: "x-team-id: t_1", tenant: "team:t_1", plan: "free"},
		{key: "key_user", target: "/things", header: "x-team-id: t_3", want: policy.TenantMismatch}, // a guest there
		{key: "key_user", target: "/things", header: "x-team-id: t_2", want: policy.TenantMismatch},
		{key: "key_user", target: "/things", header: "x-org-id: o_1", want: policy.TenantMismatch},
		{key: "key_both", target: "/things", tenants: "team:t_1,team:t_2"},
		{key: "key_both", target: "/me", tenants: "team:t_1,team:t_2"},
		{key: "key_both", target: "/inbox", want: policy.TenantMismatch},
		{key: "key_both", target: "/inbox?team=t_2", tenant: "team:t_2", plan: "pro"},
		{key: "key_both", target: "/teams/t_2/x", tenant: "team:t_2", plan: "pro"},
		{key: "key_both", target: "/things", world: suspend("team:t_2"), tenant: "team:t_1", plan: "free"},
		{key: "key_both", target: "/inbox", world: suspend("team:t_2"), tenant: "team:t_1", plan: "free"},
		{key: "key_both", target: "/things", header: "x-team-id: t_2", world: suspend("team:t_2"), want: policy.TenantMismatch},
		{key: "key_both", target: "/things", header: "x-team-id: t_2", world: suspend("org:o_1"), want: policy.TenantMismatch},
		{key: "key_both", target: "/things", world: suspend("org:o_1"), want: policy.TenantMismatch},
		{key: "key_both", target: "/me", world: suspend("org:o_1")},
		{key: "key_both", target: "/me", world: func(w *world) { delete(w.tenants, "org:o_1") }},
		{key: "key_lost", target: "/things", want: policy.TenantMismatch},
		{key: "key_lost", target: "/inbox", want: policy.TenantMismatch},
		{key: "key_lost", target: "/me"},
		{key: "key_lost", target: "/me", header: "x-team-id: t_1", want: policy.TenantMismatch},

		// A key of an organisation reaches its children, and stands in its own.
		{key: "key_parent", target: "/things", tenant: "org:o_1", plan: "pro"},
		{key: "key_parent", target: "/inbox", tenant: "org:o_1", plan: "pro"},
		{key: "key_parent", target: "/things", header: "x-org-id: o_1", tenant: "org:o_1", plan: "pro"},
		{key: "key_parent", target: "/things", header: "x-team-id: t_1", tenant: "team:t_1", plan: "free"},
		{key: "key_parent", target: "/teams/t_2", tenant: "team:t_2", plan: "pro"},
		{key: "key_parent", target: "/teams/t_3", want: policy.TenantMismatch},
		{key: "key_parent", target: "/teams/t_9", want: policy.TenantMismatch},
		{key: "key_parent", target: "/things", header: "x-org-id: o_2", want: policy.TenantMismatch},
		{key: "key_parent", target: "/teams/t_1", header: "x-org-id: o_1", want: policy.TenantMismatch}, // two of them
		{key: "key_parent", target: "/teams/t_2", world: suspend("team:t_2"), want: policy.TenantMismatch},
		{key: "key_parent", target: "/teams/t_2", world: suspend("org:o_1"), want: policy.TenantSuspended},
		{key: "key_parent", target: "/teams/t_2", world: func(w *world) { w.tenants["team:t_2"].Parent = "team:t_1" }, want: policy.TenantMismatch},
		{key: "key_parent", target: "/teams/t_3", world: func(w *world) { w.tenants["team:t_3"].Parent = "" }, want: policy.TenantMismatch},
		// What isn't a name is none, should the directory ever hold it.
		{key: "key_parent", target: "/things", header: "x-team-id: a b", want: policy.TenantMismatch, world: func(w *world) {
			w.tenants["team:a b"] = &directory.Tenant{ID: "team:a b", Parent: "org:o_1"}
		}},

		// A key of a team reaches its own.
		{key: "key_full", target: "/things", world: suspend("team:t_1"), want: policy.TenantSuspended},
		{key: "key_full", target: "/things", world: suspend("org:o_1"), want: policy.TenantSuspended},
		{key: "key_full", target: "/things", world: suspend("org:o_2"), tenant: "team:t_1", plan: "free"},
		{key: "key_full", target: "/things", world: func(w *world) { delete(w.tenants, "team:t_1") }, want: policy.TenantSuspended},
		{key: "key_full", target: "/things", world: func(w *world) { w.tenants["team:t_1"].Plan = "" }, tenant: "team:t_1"},
	} {
		w := newWorld(t)
		if c.world != nil {
			c.world(w)
		}
		headers := []string{bearer(c.key)}
		if c.header != "" {
			headers = append(headers, c.header)
		}
		if c.want == policy.Undecided {
			c.want = policy.Allowed
		}
		got := w.check(t, envoy(mapped, "GET", c.target, headers...))
		text := func(name string) string { s, _ := got.metadata[name].(string); return s }
		told := got.allowed // a refusal tells of the key's own tenant, as TestEveryReason shows
		if got.reason != c.want.String() || told && (text("tenant") != c.tenant || text("tenants") != c.tenants || text("plan") != c.plan) {
			t.Errorf("%s %s %s: %s, tenant %q, tenants %q, plan %q; want %s, %q, %q, %q", c.key, c.target, c.header,
				got.reason, text("tenant"), text("tenants"), text("plan"), c.want, c.tenant, c.tenants, c.plan)
		}
		if !got.allowed {
			continue
		}
		// The headers that may name a tenant say what was verified, or nothing.
		kind, name := directory.Kind(c.tenant), directory.Name(c.tenant)
		for header, of := range map[string]string{"x-team-id": "team", "x-org-id": "org"} {
			if value, set := got.headers[header]; set != (kind == of) || set == got.removed[header] || set && value != name {
				t.Errorf("%s %s: %s is set to %q, removed is %v", c.key, c.target, header, value, got.removed[header])
			}
		}
	}
}

func suspend(id string) func(*world) { return func(w *world) { w.tenants[id].Suspended = true } }

// TestPermissionsOfATenant: what a principal may do depends on the tenant
// that the request stands in.
func TestPermissionsOfATenant(t *testing.T) {
	w := newWorld(t)
	w.principals["user:bob"].Memberships["team:t_2"] = "guest"
	w.principals["user:bob"].Permissions = map[string][]string{"team:t_2": {"things.delete"}}
	for _, c := range []struct {
		header, permission string
		want               policy.Reason
	}{
		{"x-team-id: t_1", "by its role", policy.Allowed},
		{"x-team-id: t_2", "listed, and it isn't reached", policy.PermissionMissing},
		{"x-team-id: t_3", "none", policy.PermissionMissing},
		{"x-team-id: ", "by its role in the one that it reaches", policy.Allowed},
	} {
		got := w.check(t, envoy(mapped, "DELETE", "/things/1", bearer("key_both"), c.header))
		if got.reason != c.want.String() {
			t.Errorf("%s (%s): %s, want %s", c.header, c.permission, got.reason, c.want)
		}
	}
}

// TestUnescape decodes as a form does, each byte by its escape in either case.
func TestUnescape(t *testing.T) {
	for b := range 256 {
		want := string([]byte{byte(b)})
		for _, text := range []string{fmt.Sprintf("%%%02x", b), fmt.Sprintf("%%%02X", b)} {
			if got := new(Request).unescape("<" + text + text + ">"); got != "<"+want+want+">" {
				t.Errorf("%s is decoded to %q", text, got)
			}
		}
	}
	for text, want := range map[string]string{
		"": "", "a": "a", "+a++b+": " a  b ", "%": "%", "%4": "%4", "%4g": "%4g", "%g4": "%g4", "%%41": "%A", "%2541": "%41", "%2b": "+", "a%": "a%", "%:0": "%:0", "%0@": "%0@",
	} {
		if got := new(Request).unescape(text); got != want {
			t.Errorf("%q is decoded to %q, want %q", text, got, want)
		}
	}
}
