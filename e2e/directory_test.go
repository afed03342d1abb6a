package e2e

import (
	"fmt"
	"testing"

	"connectrpc.com/connect"

	"github.com/latchkey/latchkey/internal/envoytest"
	"github.com/latchkey/latchkey/internal/oracle"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
)

// TestDirectoryTakesEffectAtOnce changes one object of the directory, never a
// key, and sends the same request before and right after.
func TestDirectoryTakesEffectAtOnce(t *testing.T) {
	w := oracle.Fixture()
	s := serve(t)
	s.load(t, w)
	m := startMesh(t, s.socket())
	for _, c := range []struct {
		name, key, host, method, path string
		change                        func(w *oracle.World) (tenant, principal string)
		status                        int
	}{
		{
			"role lowered", "kodey-usk-one", "api.kodey.example", "GET", "/v1/teams/t_1",
			func(w *oracle.World) (string, string) {
				w.Principals["user:ada"].Memberships["team:t_1"] = "MEMBER"
				return "", "user:ada"
			}, 403,
		},
		{
			"role of a creator lowered", "spo-ok-owner", "apix.spotzee.com", "GET", "/api/admin/billing",
			func(w *oracle.World) (string, string) {
				w.Principals["user:so-owner"].Memberships["organisation:so_1"] = "admin"
				return "", "user:so-owner"
			}, 403,
		},
		{
			"member removed", "kodey-usk-one", "api.kodey.example", "GET", "/v1/chat",
			func(w *oracle.World) (string, string) {
				delete(w.Principals["user:ada"].Memberships, "team:t_1")
				return "", "user:ada"
			}, 403,
		},
		{
			"permission of a creator taken", "cun-live", "api.cuneiform.example", "POST", "/v1/documents",
			func(w *oracle.World) (string, string) {
				w.Principals["user:full"].Permissions["org:o_1"] = []string{"content.read"}
				return "", "user:full"
			}, 403,
		},
		{
			"principal suspended", "kodey-usk-one", "api.kodey.example", "GET", "/v1/chat",
			func(w *oracle.World) (string, string) { return "", suspend(w, "user:ada") }, 401,
		},
		{
			"creator suspended", "cun-live", "api.cuneiform.example", "GET", "/v1/documents",
			func(w *oracle.World) (string, string) { return "", suspend(w, "user:full") }, 403,
		},
		{
			"tenant suspended", "kodey-sk", "api.kodey.example", "GET", "/v1/chat",
			func(w *oracle.World) (string, string) { return suspendTenant(w, "team:t_1"), "" }, 403,
		},
		{
			"parent suspended", "spo-sk-admin", "apix.spotzee.com", "GET", "/api/projects/p_1",
			func(w *oracle.World) (string, string) { return suspendTenant(w, w.Tenants["project:p_1"].Parent), "" }, 403,
		},
	} {
		for _, profile := range profiles {
			ask := func() int {
				resp, err := envoytest.H1(t.Context(), m.envoy.Addr(string(profile)), envoytest.Request(c.method, c.path, []envoytest.Field{
					{Name: "Host", Value: c.host}, {Name: "Authorization", Value: "Bearer " + w.Find(c.key).Token}, {Name: "Connection", Value: "close"}, {Name: "Content-Length", Value: "0"},
				}, nil))
				if err != nil {
					t.Fatal(err)
				}
				return resp.Status
			}
			changed := oracle.Fixture()
			tenant, principal := c.change(changed)
			if got := ask(); got != 200 {
				t.Errorf("%s, %s: %d before the change", profile, c.name, got)
			}
			s.applyObject(t, changed, tenant, principal)
			if got := ask(); got != c.status {
				t.Errorf("%s, %s: %d right after the change, want %d", profile, c.name, got, c.status)
			}
			s.applyObject(t, oracle.Fixture(), tenant, principal)
			if got := ask(); got != 200 {
				t.Errorf("%s, %s: %d after the change was taken back", profile, c.name, got)
			}
		}
	}
}

func suspend(w *oracle.World, id string) string {
	p := w.Principals[id]
	p.Suspended = true
	w.Principals[id] = p
	return id
}

func suspendTenant(w *oracle.World, id string) string {
	t := w.Tenants[id]
	t.Suspended = true
	w.Tenants[id] = t
	return id
}

// applyObject replaces one tenant or one principal, and nothing else.
func (s *server) applyObject(t *testing.T, w *oracle.World, tenant, principal string) {
	t.Helper()
	d := &directoryv1.Directory{}
	for _, x := range directoryOf(w).GetTenants() {
		if x.GetId() == tenant {
			d.Tenants = append(d.Tenants, x)
		}
	}
	for _, x := range directoryOf(w).GetPrincipals() {
		if x.GetId() == principal {
			d.Principals = append(d.Principals, x)
		}
	}
	if len(d.GetTenants())+len(d.GetPrincipals()) != 1 {
		t.Fatal(fmt.Errorf("the world has no %s%s", tenant, principal))
	}
	if _, err := s.dir.ApplyDirectory(t.Context(), connect.NewRequest(&adminv1.ApplyDirectoryRequest{Directory: d})); err != nil {
		t.Fatal(err)
	}
}
