package authz

import (
	"fmt"
	"maps"
	"testing"

	"github.com/latchkey/latchkey/directory"
)

// TestWhatTheUpstreamIsTold of each kind of key, whatever the client claims.
func TestWhatTheUpstreamIsTold(t *testing.T) {
	ours := func(more map[string]string) map[string]string {
		m := map[string]string{"x-latchkey-policy": "acme", "x-latchkey-environment": "live", "x-latchkey-endpoint": "Read things"}
		maps.Copy(m, more)
		return m
	}
	team := map[string]string{"x-latchkey-tenant": "team:t_1", "x-team-id": "t_1"}
	join := func(a, b map[string]string) map[string]string {
		m := maps.Clone(a)
		maps.Copy(m, b)
		return m
	}
	for id, want := range map[string]map[string]string{
		"key_full":    join(team, map[string]string{"x-latchkey-type": "secret", "x-latchkey-scopes": "read write"}),
		"key_guest":   join(team, map[string]string{"x-latchkey-type": "secret", "x-latchkey-scopes": "read"}), // cut by its ceiling
		"key_browser": join(team, map[string]string{"x-latchkey-type": "browser", "x-latchkey-scopes": "read"}),
		"key_member":  join(team, map[string]string{"x-latchkey-type": "member", "x-latchkey-scopes": "read", "x-latchkey-role": "guest"}),
		"key_user": join(team, map[string]string{
			"x-latchkey-type": "user", "x-latchkey-scopes": "read write", "x-latchkey-principal": "user:ada",
		}),
		"key_both": {
			"x-latchkey-type": "user", "x-latchkey-scopes": "read write", "x-latchkey-principal": "user:bob",
			"x-latchkey-tenants": "team:t_1,team:t_2",
		},
		"key_parent": {
			"x-latchkey-type": "parent", "x-latchkey-scopes": "admin read write", "x-latchkey-tenant": "org:o_1", "x-org-id": "o_1",
		},
	} {
		want["x-latchkey-key-id"] = id
		for _, f := range []form{mapped, raw} {
			for _, place := range []string{"authorization: Bearer ", "x-api-key: "} {
				w := newWorld(t)
				headers := append([]string{place + tokens[id]}, spoofed...)
				got := w.check(t, envoy(f, "GET", "/things", headers...))
				if got.reason != "ALLOWED" {
					t.Fatalf("%s: %s", id, got.reason)
				}
				checkOurs(t, got, headers, ours(want))
				for _, name := range []string{"authorization", "x-api-key"} {
					// Also the place that isn't seen: Envoy may have hidden it.
					if !got.removed[name] {
						t.Errorf("%s: %s is not removed", id, name)
					}
				}
			}
		}
	}
}

// TestAnotherSchemeIsOrdinaryText: what isn't a declared place is none of our
// business, and goes on to the upstream.
func TestAnotherSchemeIsOrdinaryText(t *testing.T) {
	w := newWorld(t)
	got := w.check(t, get("/things", "authorization: Basic eDp5", "x-api-key: "+tokens["key_full"], "cookie: k="+tokens["key_none"]))
	if got.reason != "ALLOWED" || got.removed["authorization"] || got.removed["cookie"] || !got.removed["x-api-key"] {
		t.Errorf("%s, removed %v", got.reason, got.removed)
	}
}

// TestTooManyTenants: a list of exactly 4 KiB is handed on, and of a byte more not.
func TestTooManyTenants(t *testing.T) {
	for _, c := range []struct {
		length int
		want   string
	}{{4096, "ALLOWED"}, {4097, "TENANT_MISMATCH"}, {4095, "ALLOWED"}} {
		w := newWorld(t)
		bob := &directory.Principal{ID: "user:bob", Memberships: map[string]string{}}
		w.principals["user:bob"] = bob
		add := func(name string) {
			w.tenants["team:"+name] = &directory.Tenant{ID: "team:" + name}
			bob.Memberships["team:"+name] = "owner"
		}
		left := c.length + 1 // each name is followed by a comma, but for the last
		for i := 0; left > 250; i++ {
			add(fmt.Sprintf("%091d", i))
			left -= 97
		}
		add(fmt.Sprintf("x%0*d", left/2-7, 1))
		add(fmt.Sprintf("y%0*d", left-left/2-7, 2))
		got := w.check(t, get("/things", bearer("key_both")))
		if got.reason != c.want {
			t.Errorf("%d bytes: %s", c.length, got.reason)
		}
		if n := len(got.headers["x-latchkey-tenants"]); got.allowed && n != c.length {
			t.Errorf("the list has %d bytes, want %d: the test is wrong", n, c.length)
		}
		if got := w.check(t, get("/me", bearer("key_both"))); got.reason != c.want {
			t.Errorf("%d bytes where none is needed: %s", c.length, got.reason)
		}
		if got := w.check(t, get("/things?team="+fmt.Sprintf("%091d", 3), bearer("key_both"))); got.reason != "ALLOWED" {
			t.Errorf("one is named: %s", got.reason)
		}
	}
}
