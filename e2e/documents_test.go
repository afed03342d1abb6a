package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/latchkey/latchkey/internal/envoytest"
	"github.com/latchkey/latchkey/internal/oracle"
)

// The tables of the four documents, as facts: what each kind of key opens.
// They are compared, cell by cell, with what a client gets through a real
// Envoy in both profiles.

// column is a kind of key in a document's table.
type column struct {
	name string
	key  string // in the world
}

// row is a line of a document's table: some requests, and whether each
// column's keys open them, all of them or none of them.
type row struct {
	name     string
	requests []string // METHOD PATH [header=value]
	yes      []bool   // by column
}

// table is a table of a document.
type table struct {
	name    string
	host    string
	columns []column
	rows    []row
}

const everyMethod = "GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS"

// tailed is every method on each path, with and without a tail.
func tailed(paths ...string) []string {
	var all []string
	for _, p := range paths {
		all = append(all, everyMethod+" "+p, everyMethod+" "+p+"/a", everyMethod+" "+p+"/a/b")
	}
	return all
}

var kodeyColumns = []column{{"pk_live_", "kodey-pk"}, {"sk_live_", "kodey-sk"}, {"usk_live_", "kodey-usk-one"}}

var documentTables = []table{
	{
		name: "kodey access matrix", host: "api.kodey.example", columns: kodeyColumns,
		rows: []row{
			{"Chat Operations", tailed("/v1/chat"), []bool{true, true, true}},
			{"Agent Operations", tailed("/v1/agents"), []bool{false, true, true}},
			{"Workflow Operations", tailed("/v1/workflows"), []bool{false, true, true}},
			{"MCP Operations", tailed("/v1/mcp"), []bool{false, true, true}},
			{"File Operations", tailed("/v1/files"), []bool{false, true, true}},
			{"Webhook Operations", tailed("/v1/webhooks"), []bool{false, true, true}},
			{"Team Management", []string{everyMethod + " /v1/teams", everyMethod + " /v1/teams/t_1", everyMethod + " /v1/teams/t_1/x"}, []bool{false, false, true}},
			{"Member Management", tailed("/v1/members"), []bool{false, false, true}},
			{"API Key Management", tailed("/v1/api-keys"), []bool{false, false, true}},
			{"Billing Operations", tailed("/v1/billing"), []bool{false, false, true}},
			{"Team Settings", tailed("/v1/team-settings"), []bool{false, false, true}},
			{"Export/Import", tailed("/v1/export", "/v1/import"), []bool{false, false, true}},
		},
	},
	{
		name: "kodey capabilities", host: "api.kodey.example",
		columns: []column{{"sk_live_", "kodey-sk"}, {"usk_live_", "kodey-usk-many"}},
		rows: []row{
			{"one team", []string{"GET /v1/agents x-team-id=t_1"}, []bool{true, true}},
			{"all teams as owner or admin", []string{"GET /v1/agents x-team-id=t_2"}, []bool{false, true}},
			{"not a team as a mere member", []string{"GET /v1/agents x-team-id=t_3"}, []bool{false, false}},
			{"chat, agent and workflow APIs", []string{"POST /v1/chat", "POST /v1/agents", "POST /v1/workflows"}, []bool{true, true}},
			{"create new teams", []string{"POST /v1/teams"}, []bool{false, true}},
			{"delete teams", []string{"DELETE /v1/teams/t_1"}, []bool{false, true}},
			{"invite and remove members", []string{"POST /v1/members x-team-id=t_1", "DELETE /v1/members/m_1 x-team-id=t_1"}, []bool{false, true}},
			{"edit member roles", []string{"PATCH /v1/members/m_1 x-team-id=t_1"}, []bool{false, true}},
			{"transfer ownership", []string{"POST /v1/members/m_1/transfer x-team-id=t_1", "POST /v1/teams/t_1/transfer"}, []bool{false, true}},
			{"view and regenerate API keys", []string{"GET /v1/api-keys", "POST /v1/api-keys/k_1/regenerate"}, []bool{false, true}},
			{"billing and invoices", []string{"GET /v1/billing", "GET /v1/billing/invoices"}, []bool{false, true}},
			{"export and import team data", []string{"POST /v1/export", "POST /v1/import"}, []bool{false, true}},
		},
	},
	{
		name: "cuneiform scopes", host: "api.cuneiform.example",
		columns: []column{
			{"knowledge:read", "cun-kr"}, {"knowledge:write", "cun-kw"}, {"agents:read", "cun-ar"}, {"agents:write", "cun-aw"}, {"agents:query", "cun-aq"}, {"no scope", "cun-empty"},
		},
		rows: cuneiformRows(map[string][]bool{
			"list, search and fetch": {true, false, false, false, false, false},
			"upload and organise":    {false, true, false, false, false, false},
			"list and fetch agents":  {false, false, true, false, false, false},
			"create and update":      {false, false, false, true, false, false},
			"delete and restore":     {false, false, false, true, false, false},
			"run an agent":           {false, false, false, false, true, false},
			"the panel":              {false, false, false, false, false, false},
		}),
	},
	{
		// Every key of this table was given all five scopes; what it holds is
		// cut by what its creator may do. One permission is missing in turn.
		name: "cuneiform ceilings", host: "api.cuneiform.example",
		columns: []column{
			{"full", "cun-live"},
			{"without content.read", "cun-without-content.read"},
			{"without content.upload", "cun-without-content.upload"},
			{"without content.update", "cun-without-content.update"},
			{"without agent.read", "cun-without-agent.read"},
			{"without agent.create", "cun-without-agent.create"},
			{"without agent.update", "cun-without-agent.update"},
			{"without agent.delete", "cun-without-agent.delete"},
			{"by nobody", "cun-by-nobody"},
			{"by somebody gone", "cun-by-gone"},
		},
		rows: cuneiformRows(map[string][]bool{
			"list, search and fetch": {true, false, true, true, true, true, true, true, false, false},
			"upload and organise":    {true, true, false, false, true, true, true, true, false, false},
			"list and fetch agents":  {true, true, true, true, false, true, true, true, false, false},
			"create and update":      {true, true, true, true, true, false, false, true, false, false},
			"delete and restore":     {true, true, true, true, true, false, false, false, false, false},
			"run an agent":           {true, true, true, true, false, true, true, true, false, false},
			"the panel":              {false, false, false, false, false, false, false, false, false, false},
		}),
	},
	{
		name: "spotzee key types", host: "apix.spotzee.com",
		columns: []column{{"pk_", "spo-pk-admin"}, {"sk_", "spo-sk-admin"}, {"ok_", "spo-ok-owner"}},
		rows: []row{
			{"allowlisted client endpoints", []string{"POST /api/client/identify", "POST /api/client/events", "POST /api/client/devices"}, []bool{true, true, false}},
			{"other client endpoints", []string{everyMethod + " /api/client/users", "GET,PUT,DELETE /api/client/identify", "POST /api/client/identify/x"}, []bool{false, true, false}},
			{"project subroutes", tailed("/api/projects/p_1"), []bool{false, true, false}},
			{"another project", tailed("/api/projects/p_2"), []bool{false, false, false}},
			{"organisation", []string{everyMethod + " /api/admin/users", everyMethod + " /api/admin/users/u/x"}, []bool{false, false, true}},
			{"projects of the organisation", tailed("/api/admin/projects/p_1"), []bool{false, false, true}},
			{"projects of another organisation", tailed("/api/admin/projects/p_3"), []bool{false, false, false}},
		},
	},
	{
		name: "spotzee project roles", host: "apix.spotzee.com",
		columns: []column{
			{"support", "spo-sk-support"}, {"smtpproxy", "spo-sk-smtpproxy"}, {"editor", "spo-sk-editor"}, {"publisher", "spo-sk-publisher"}, {"admin", "spo-sk-admin"},
		},
		rows: []row{
			{"reads", []string{"GET,HEAD /api/projects/p_1", "GET,HEAD /api/projects/p_1/x", "GET /api/client/x"}, []bool{true, false, true, true, true}},
			{"writes", []string{"POST,PUT,PATCH,DELETE,OPTIONS /api/projects/p_1/x", "POST /api/client/x"}, []bool{false, false, true, true, true}},
			{"mail", []string{"POST /api/projects/p_1/smtp/send"}, []bool{false, true, true, true, true}},
			{"publish", []string{"POST /api/projects/p_1/campaigns/c/publish"}, []bool{false, false, false, true, true}},
			{"settings and keys", tailed("/api/projects/p_1/settings", "/api/projects/p_1/keys"), []bool{false, false, false, false, true}},
		},
	},
	{
		name: "spotzee organisation roles", host: "apix.spotzee.com",
		columns: []column{{"member", "spo-ok-member"}, {"admin", "spo-ok-admin"}, {"owner", "spo-ok-owner"}},
		rows: []row{
			{"reads", []string{"GET,HEAD /api/admin/users", "GET /api/admin/projects/p_1"}, []bool{true, true, true}},
			{"writes", []string{"POST,PUT,PATCH,DELETE,OPTIONS /api/admin/users", "POST /api/admin/projects/p_1/x"}, []bool{false, true, true}},
			{"billing", tailed("/api/admin/billing"), []bool{false, false, true}},
			{"delete a project", []string{"DELETE /api/admin/projects/p_1"}, []bool{false, false, true}},
		},
	},
	{
		name: "shortkit permissions", host: "api.shortkit.dev",
		columns: []column{{"sk_live_", "sho-sk-live"}, {"pk_live_", "sho-pk-live"}},
		rows:    shortkitRows,
	},
	{
		name: "shortkit permissions in staging", host: "api.staging.shortkit.dev",
		columns: []column{{"sk_test_", "sho-sk-test"}, {"pk_test_", "sho-pk-test"}},
		rows:    shortkitRows,
	},
}

var shortkitRows = []row{
	{"fetch feed content", []string{"GET,HEAD /v1/feed", "GET,HEAD /v1/feed/1"}, []bool{true, true}},
	{"send engagement events", []string{"POST /v1/events"}, []bool{true, true}},
	{"read public configuration", []string{"GET,HEAD /v1/config"}, []bool{true, true}},
	{"create, update and delete content", []string{"POST /v1/content", "PUT,PATCH,DELETE /v1/content/1"}, []bool{true, false}},
	{"analytics", tailed("/v1/analytics"), []bool{true, false}},
	{"modify configuration", []string{"POST,PUT,PATCH,DELETE /v1/config", "PUT /v1/config/x"}, []bool{true, false}},
	{"manage webhooks", tailed("/v1/webhooks"), []bool{true, false}},
	{"manage keys", tailed("/v1/api-keys"), []bool{true, false}},
	{"write the feed", []string{"POST,PUT,PATCH,DELETE /v1/feed", "DELETE /v1/feed/1"}, []bool{true, false}},
	{"read events", []string{"GET /v1/events"}, []bool{true, false}},
}

func cuneiformRows(yes map[string][]bool) []row {
	var reads, writes []string
	for _, thing := range []string{"documents", "folders", "tags"} {
		reads = append(reads, "GET,HEAD /v1/"+thing, "GET,HEAD /v1/"+thing+"/1")
		writes = append(writes, "POST,PUT,PATCH,DELETE /v1/"+thing, "POST,PUT,PATCH,DELETE /v1/"+thing+"/1")
	}
	requests := []row{
		{name: "list, search and fetch", requests: append(reads, "GET /v1/documents/search")},
		{name: "upload and organise", requests: writes},
		{name: "list and fetch agents", requests: []string{"GET,HEAD /v1/agents", "GET,HEAD /v1/agents/1", "GET,HEAD /v1/agents/1/config"}},
		{name: "create and update", requests: []string{"POST /v1/agents", "PUT,PATCH /v1/agents/1", "PUT,PATCH /v1/agents/1/config"}},
		{name: "delete and restore", requests: []string{"DELETE /v1/agents/1", "POST /v1/agents/1/restore"}},
		{name: "run an agent", requests: []string{"POST /v1/agents/1/query"}},
		{name: "the panel", requests: []string{everyMethod + " /org/developer-api"}},
	}
	for i := range requests {
		requests[i].yes = yes[requests[i].name]
	}
	return requests
}

// withEachPermissionMissing adds, for each of Cuneiform's permissions, a
// creator who lacks only that one, and a key of theirs with every scope.
func withEachPermissionMissing(w *oracle.World) {
	full := w.Principals["user:full"].Permissions["org:o_1"]
	like := *w.Find("cun-live")
	for _, missing := range full {
		creator := "user:without-" + missing
		rest := slices.DeleteFunc(slices.Clone(full), func(p string) bool { return p == missing })
		w.Principals[creator] = oracle.Principal{Permissions: map[string][]string{"org:o_1": rest}}
		k := like
		k.Name, k.Creator = "cun-without-"+missing, creator
		k.Token = oracle.Mint(k.Name, k.Policy, k.Type, k.Environment)
		w.Keys = append(w.Keys, k)
	}
}

// each calls f for every single request of a row.
func (r row) each(f func(method, path, header, value string)) {
	for _, text := range r.requests {
		fields := strings.Fields(text)
		var header, value string
		if len(fields) > 2 {
			header, value, _ = strings.Cut(fields[2], "=")
		}
		for method := range strings.SplitSeq(fields[0], ",") {
			f(method, fields[1], header, value)
		}
	}
}

func TestDocumentTables(t *testing.T) {
	w := oracle.Fixture()
	withEachPermissionMissing(w)
	s := serve(t)
	s.load(t, w)
	m := startMesh(t, s.socket())
	cells, requests := 0, 0
	for _, table := range documentTables {
		for _, row := range table.rows {
			if len(row.yes) != len(table.columns) {
				t.Fatalf("%s, %s: %d cells for %d columns", table.name, row.name, len(row.yes), len(table.columns))
			}
			for i, column := range table.columns {
				cells++
				row.each(func(method, path, header, value string) {
					for _, profile := range profiles {
						requests++
						m.cell(t, fmt.Sprintf("%s, %s: %s × %s", profile, table.name, row.name, column.name), profile,
							w.Find(column.key), method, table.host, path, header, value, row.yes[i])
					}
				})
			}
		}
	}
	t.Logf("%d cells, %d requests through Envoy in %d profiles", cells, requests, len(profiles))
}

// cell sends one request and judges it by what the client and the upstream got.
func (m *mesh) cell(t *testing.T, place string, profile envoytest.Profile, k *oracle.Key, method, host, path, header, value string, yes bool) {
	t.Helper()
	fields := []envoytest.Field{{Name: "Host", Value: host}, {Name: "Authorization", Value: "Bearer " + k.Token}, {Name: "Connection", Value: "close"}, {Name: envoytest.CaseHeader, Value: nextCase()}}
	if header != "" {
		fields = append(fields, envoytest.Field{Name: header, Value: value})
	}
	resp, err := envoytest.H1(t.Context(), m.envoy.Addr(string(profile)), envoytest.Request(method, path, fields, nil))
	if err != nil {
		t.Fatalf("%s: %v", place, err)
	}
	reached := m.up.Take(fields[3].Value)
	request := method + " " + path
	if !yes {
		if resp.Status != http.StatusForbidden || len(reached) != 0 {
			t.Errorf("%s: %s is answered %d and reached the upstream %d times, the document says no", place, request, resp.Status, len(reached))
		}
		return
	}
	if resp.Status != http.StatusOK || len(reached) != 1 {
		t.Errorf("%s: %s is answered %d and reached the upstream %d times, the document says yes", place, request, resp.Status, len(reached))
		return
	}
	id, _ := reached[0].Get("x-latchkey-key-id")
	_, leaked := reached[0].Get("authorization")
	if reached[0].Method != method || reached[0].Path != path || id != k.ID || leaked {
		t.Errorf("%s: %s reached the upstream as %s %s for key %q, credential forwarded: %v", place, request, reached[0].Method, reached[0].Path, id, leaked)
	}
}

var caseNumber struct {
	sync.Mutex
	n int
}

func nextCase() string {
	caseNumber.Lock()
	defer caseNumber.Unlock()
	caseNumber.n++
	return fmt.Sprintf("case-%d", caseNumber.n)
}

// TestShortkitErrorCodes compares the document's four error codes with what a
// client is told, to the letter.
func TestShortkitErrorCodes(t *testing.T) {
	w := oracle.Fixture()
	s := serve(t)
	s.load(t, w)
	m := startMesh(t, s.socket())
	for _, c := range []struct {
		name, host, token, method, path string
		status                          int
		code, message                   string
	}{
		{"missing key", "api.shortkit.dev", "", "GET", "/v1/content", 401, "UNAUTHORIZED", "Invalid API key provided"},
		{"invalid key", "api.shortkit.dev", oracle.Mint("nobody", "shortkit", "secret", "live"), "GET", "/v1/content", 401, "UNAUTHORIZED", "Invalid API key provided"},
		{"malformed key", "api.shortkit.dev", "sk_live_short", "GET", "/v1/content", 401, "UNAUTHORIZED", "Invalid API key provided"},
		{"expired key", "api.shortkit.dev", w.Find("sho-sk-live-expired").Token, "GET", "/v1/content", 401, "UNAUTHORIZED", "Invalid API key provided"},
		{"disabled key", "api.shortkit.dev", w.Find("sho-sk-live-disabled").Token, "GET", "/v1/content", 401, "UNAUTHORIZED", "Invalid API key provided"},
		{"revoked key", "api.shortkit.dev", w.Find("sho-sk-live-revoked").Token, "GET", "/v1/content", 401, "KEY_REVOKED", "API key has been revoked"},
		{"rotated key", "api.shortkit.dev", w.Find("sho-sk-rotated-dead").OldTokens[0].Token, "GET", "/v1/content", 401, "KEY_REVOKED", "API key has been revoked"},
		{"publishable key on content", "api.shortkit.dev", w.Find("sho-pk-live").Token, "POST", "/v1/content", 403, "FORBIDDEN", "Key lacks required permissions"},
		{"unknown endpoint", "api.shortkit.dev", w.Find("sho-sk-live").Token, "GET", "/v2", 403, "FORBIDDEN", "Key lacks required permissions"},
		{"test key in production", "api.shortkit.dev", w.Find("sho-sk-test").Token, "GET", "/v1/content", 403, "ENVIRONMENT_MISMATCH", "Using test key on production endpoint"},
		{"live key in staging", "api.staging.shortkit.dev", w.Find("sho-sk-live").Token, "GET", "/v1/content", 403, "ENVIRONMENT_MISMATCH", "Using live key on staging endpoint"},
	} {
		for _, profile := range profiles {
			for _, id := range []string{"req_xyz789", "not an id"} {
				fields := []envoytest.Field{{Name: "Host", Value: c.host}, {Name: "Connection", Value: "close"}, {Name: "X-Request-Id", Value: id}}
				if c.token != "" {
					fields = append(fields, envoytest.Field{Name: "Authorization", Value: "Bearer " + c.token})
				}
				resp, err := envoytest.H1(t.Context(), m.envoy.Addr(string(profile)), envoytest.Request(c.method, c.path, fields, nil))
				if err != nil {
					t.Fatal(err)
				}
				var body struct {
					Meta struct {
						RequestID string `json:"requestId"`
					} `json:"meta"`
				}
				if err := json.Unmarshal(resp.Body, &body); err != nil {
					t.Fatalf("%s, %s: %v in %q", profile, c.name, err, resp.Body)
				}
				told := body.Meta.RequestID
				want := fmt.Sprintf(`{"error":{"code":%q,"message":%q},"meta":{"requestId":%q}}`, c.code, c.message, told)
				if resp.Status != c.status || string(resp.Body) != want || resp.Header.Get("content-type") != "application/json" {
					t.Errorf("%s, %s: %d %s\nwant %d %s", profile, c.name, resp.Status, resp.Body, c.status, want)
				}
				// An Envoy that trusts nobody puts its own id in place of the client's.
				if told == "" || profile == envoytest.Plain && (told == id) != (id == "req_xyz789") {
					t.Errorf("%s, %s: x-request-id %q is told as %q", profile, c.name, id, told)
				}
			}
		}
	}
}
