package oracle

import (
	"testing"
)

func TestKodeyMatrix(t *testing.T) {
	w := Fixture()
	matrix := []struct {
		paths       []string
		pk, sk, usk bool
	}{
		{[]string{"/v1/chat", "/v1/chat/completions/7"}, true, true, true},
		{[]string{"/v1/agents", "/v1/agents/a"}, false, true, true},
		{[]string{"/v1/workflows", "/v1/workflows/a/b"}, false, true, true},
		{[]string{"/v1/mcp", "/v1/mcp/x"}, false, true, true},
		{[]string{"/v1/files", "/v1/files/x"}, false, true, true},
		{[]string{"/v1/webhooks", "/v1/webhooks/x"}, false, true, true},
		{[]string{"/v1/teams", "/v1/teams/t_1", "/v1/teams/t_1/transfer"}, false, false, true},
		{[]string{"/v1/members", "/v1/members/m"}, false, false, true},
		{[]string{"/v1/api-keys", "/v1/api-keys/k"}, false, false, true},
		{[]string{"/v1/billing", "/v1/billing/invoices"}, false, false, true},
		{[]string{"/v1/team-settings", "/v1/team-settings/x"}, false, false, true},
		{[]string{"/v1/export", "/v1/export/x", "/v1/import", "/v1/import/x"}, false, false, true},
	}
	for _, row := range matrix {
		for _, path := range row.paths {
			for _, method := range allMethods {
				for key, yes := range map[string]bool{"kodey-pk": row.pk, "kodey-sk": row.sk, "kodey-usk-one": row.usk} {
					want := "KEY_TYPE_NOT_ALLOWED"
					if yes {
						want = "ALLOWED"
					}
					expect(t, w, request(w, key, method+" "+path), want)
				}
			}
		}
	}
}

func TestKodeyNothingElseExists(t *testing.T) {
	table(t, "kodey-usk-one", `
		GET / ENDPOINT_UNKNOWN
		GET /v1 ENDPOINT_UNKNOWN
		GET /v1/ ENDPOINT_UNKNOWN
		GET /v1/chat/ ENDPOINT_UNKNOWN
		GET /v1/chats ENDPOINT_UNKNOWN
		GET /V1/chat ENDPOINT_UNKNOWN
		GET /v1/Chat ENDPOINT_UNKNOWN
		GET /v2/chat ENDPOINT_UNKNOWN
		GET /chat ENDPOINT_UNKNOWN
		TRACE /v1/chat ENDPOINT_UNKNOWN
		CONNECT /v1/chat ENDPOINT_UNKNOWN
		get /v1/chat ENDPOINT_UNKNOWN
		FOO /v1/chat ENDPOINT_UNKNOWN
		GET /v1/chat?x=/../y ALLOWED`)
}

func TestKodeyTenancy(t *testing.T) {
	w := Fixture()
	team := func(id string) Header { return Header{"x-team-id", id} }
	for _, c := range []struct {
		key, line string
		headers   []Header
		reason    string
		tenant    string
		tenants   string
	}{
		// A team key has its own team and no other.
		{"kodey-sk", "GET /v1/chat", nil, "ALLOWED", "team:t_1", ""},
		{"kodey-sk", "GET /v1/chat", []Header{team("t_1")}, "ALLOWED", "team:t_1", ""},
		{"kodey-sk", "GET /v1/chat", []Header{team("")}, "ALLOWED", "team:t_1", ""},
		{"kodey-sk", "GET /v1/chat", []Header{team("t_2")}, "TENANT_MISMATCH", "", ""},
		{"kodey-sk", "GET /v1/chat", []Header{team("team:t_1")}, "TENANT_MISMATCH", "", ""},
		{"kodey-sk", "GET /v1/chat", []Header{team("T_1")}, "TENANT_MISMATCH", "", ""},
		{"kodey-sk", "GET /v1/chat", []Header{team("t_1"), team("t_1")}, "TENANT_MISMATCH", "", ""},
		{"kodey-sk", "GET /v1/chat", []Header{team("t_1,t_1")}, "TENANT_MISMATCH", "", ""},
		{"kodey-sk", "GET /v1/chat", []Header{team(""), team("t_1")}, "TENANT_MISMATCH", "", ""},
		{"kodey-pk", "GET /v1/chat", []Header{team("t_2")}, "TENANT_MISMATCH", "", ""},
		{"kodey-pk", "GET /v1/agents", []Header{team("t_2")}, "KEY_TYPE_NOT_ALLOWED", "", ""},
		// A user key reaches teams where its user is OWNER or ADMIN.
		{"kodey-usk-one", "GET /v1/chat", nil, "ALLOWED", "team:t_1", ""},
		{"kodey-usk-many", "GET /v1/chat", nil, "ALLOWED", "", "team:t_1,team:t_2"},
		{"kodey-usk-many", "GET /v1/chat", []Header{team("t_1")}, "ALLOWED", "team:t_1", ""},
		{"kodey-usk-many", "GET /v1/teams/t_2/x", nil, "ALLOWED", "team:t_2", ""},
		{"kodey-usk-many", "GET /v1/teams/t_2", []Header{team("t_2")}, "ALLOWED", "team:t_2", ""},
		{"kodey-usk-many", "GET /v1/teams/t_2", []Header{team("t_1")}, "TENANT_MISMATCH", "", ""},
		{"kodey-usk-many", "GET /v1/chat", []Header{team("t_3")}, "TENANT_MISMATCH", "", ""}, // MEMBER only
		{"kodey-usk-many", "GET /v1/teams/t_3", nil, "TENANT_MISMATCH", "", ""},
		{"kodey-usk-many", "GET /v1/teams/nope", nil, "TENANT_MISMATCH", "", ""},
		{"kodey-usk-half", "GET /v1/chat", nil, "ALLOWED", "team:t_1", ""},
		{"kodey-usk-half", "GET /v1/teams/t_susp", nil, "TENANT_MISMATCH", "", ""},
		{"kodey-usk-member", "GET /v1/chat", nil, "TENANT_MISMATCH", "", ""},
		{"kodey-usk-none", "GET /v1/chat", nil, "TENANT_MISMATCH", "", ""},
		{"kodey-usk-frozen", "GET /v1/chat", nil, "TENANT_MISMATCH", "", ""},
		// Creating a team needs none, but a filled place is verified there too.
		{"kodey-usk-none", "POST /v1/teams", nil, "ALLOWED", "", ""},
		{"kodey-usk-member", "POST /v1/teams", nil, "ALLOWED", "", ""},
		{"kodey-usk-frozen", "POST /v1/teams", nil, "ALLOWED", "", ""},
		{"kodey-usk-one", "POST /v1/teams", []Header{team("t_1")}, "ALLOWED", "team:t_1", ""},
		{"kodey-usk-one", "POST /v1/teams", []Header{team("t_2")}, "TENANT_MISMATCH", "", ""},
		{"kodey-usk-none", "GET /v1/teams", nil, "TENANT_MISMATCH", "", ""},
		{"kodey-sk", "POST /v1/teams", nil, "KEY_TYPE_NOT_ALLOWED", "", ""},
	} {
		d := expect(t, w, request(w, c.key, c.line, c.headers...), c.reason)
		if d.Identity["x-latchkey-tenant"] != c.tenant || d.Identity["x-latchkey-tenants"] != c.tenants {
			t.Errorf("%s %s %v: tenant %v", c.key, c.line, c.headers, d.Identity)
		}
		if want := ""; d.Allow {
			if c.tenant != "" {
				want = c.tenant[len("team:"):]
			}
			if d.TenantHeaders["x-team-id"] != want || contains(d.Remove, "x-team-id") != (want == "") {
				t.Errorf("%s %s: x-team-id %v, remove %v", c.key, c.line, d.TenantHeaders, d.Remove)
			}
		}
	}
}

func TestKodeyRoleChangesTakeEffectAtOnce(t *testing.T) {
	w := Fixture()
	w.Principals["user:ada"].Memberships["team:t_1"] = "MEMBER"
	expect(t, w, request(w, "kodey-usk-one", "GET /v1/chat"), "TENANT_MISMATCH")
	w.Principals["user:ada"].Memberships["team:t_1"] = "ADMIN"
	expect(t, w, request(w, "kodey-usk-one", "GET /v1/chat"), "ALLOWED")
}

func TestKodeyTooManyTeamsToTell(t *testing.T) {
	w := Fixture()
	teams := w.Principals["user:bob"].Memberships
	for i := 0; len(w.allReached(*w.Find("kodey-usk-many"))) < 200; i++ {
		name := "team:a-team-with-a-long-name-" + string(rune('a'+i/26)) + string(rune('a'+i%26))
		w.Tenants[name] = Tenant{}
		teams[name] = "OWNER"
	}
	expect(t, w, request(w, "kodey-usk-many", "GET /v1/chat"), "TENANT_MISMATCH")
	expect(t, w, request(w, "kodey-usk-many", "GET /v1/chat", Header{"x-team-id", "t_2"}), "ALLOWED")
}
