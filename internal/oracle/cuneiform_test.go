package oracle

import (
	"fmt"
	"testing"
)

// cuneiformCells is each endpoint with the scope that opens it.
var cuneiformCells = []struct{ line, scope string }{
	{"GET /v1/documents", "knowledge:read"},
	{"HEAD /v1/documents", "knowledge:read"},
	{"GET /v1/documents/search", "knowledge:read"},
	{"GET /v1/documents/d", "knowledge:read"},
	{"GET /v1/folders", "knowledge:read"},
	{"GET /v1/folders/f", "knowledge:read"},
	{"GET /v1/tags", "knowledge:read"},
	{"GET /v1/tags/t", "knowledge:read"},
	{"POST /v1/documents", "knowledge:write"},
	{"PUT /v1/documents/d", "knowledge:write"},
	{"PATCH /v1/documents/d", "knowledge:write"},
	{"DELETE /v1/documents/d", "knowledge:write"},
	{"POST /v1/folders", "knowledge:write"},
	{"PATCH /v1/folders/f", "knowledge:write"},
	{"DELETE /v1/folders/f", "knowledge:write"},
	{"POST /v1/tags", "knowledge:write"},
	{"PUT /v1/tags/t", "knowledge:write"},
	{"DELETE /v1/tags/t", "knowledge:write"},
	{"GET /v1/agents", "agents:read"},
	{"HEAD /v1/agents/a", "agents:read"},
	{"GET /v1/agents/a/config", "agents:read"},
	{"POST /v1/agents", "agents:write"},
	{"PUT /v1/agents/a", "agents:write"},
	{"PATCH /v1/agents/a", "agents:write"},
	{"PUT /v1/agents/a/config", "agents:write"},
	{"PATCH /v1/agents/a/config", "agents:write"},
	{"DELETE /v1/agents/a", "agents:write"},
	{"POST /v1/agents/a/restore", "agents:write"},
	{"POST /v1/agents/a/query", "agents:query"},
}

func TestCuneiformScopes(t *testing.T) {
	w := Fixture()
	holders := map[string]string{
		"cun-kr": "knowledge:read", "cun-kw": "knowledge:write", "cun-ar": "agents:read",
		"cun-aw": "agents:write", "cun-aq": "agents:query", "cun-empty": "none",
	}
	for _, cell := range cuneiformCells {
		for key, scope := range holders {
			want := "SCOPE_MISSING"
			if scope == cell.scope {
				want = "ALLOWED"
			}
			d := expect(t, w, request(w, key, cell.line), want)
			if d.Allow && d.Identity["x-latchkey-scopes"] != scope {
				t.Errorf("%s holds %q, want %q", key, d.Identity["x-latchkey-scopes"], scope)
			}
			if !d.Allow && d.Body != `{"error":{"type":"permission_error","code":"invalid_scope","message":"{message}"}}` {
				t.Errorf("body %s", d.Body)
			}
		}
		expect(t, w, request(w, "cun-live", cell.line), "ALLOWED")
		expect(t, w, request(w, "cun-test", cell.line), "ALLOWED")
	}
}

func TestCuneiformCeiling(t *testing.T) {
	w := Fixture()
	for key, held := range map[string]string{
		"cun-live":         "agents:query agents:read agents:write knowledge:read knowledge:write",
		"cun-by-reader":    "agents:query agents:read knowledge:read",
		"cun-by-keeper":    "agents:query agents:read agents:write knowledge:read knowledge:write",
		"cun-by-uploader":  "", // half of what each scope asks is nothing
		"cun-by-eraser":    "",
		"cun-by-nobody":    "",
		"cun-by-elsewhere": "",
		"cun-by-barred":    "",
		"cun-by-gone":      "",
		"cun-o2":           "agents:query agents:read agents:write knowledge:read knowledge:write",
		"cun-trial":        "agents:query agents:read agents:write knowledge:read knowledge:write",
	} {
		got := ""
		for i, s := range w.cuneiformHolds(*w.Find(key)) {
			if i > 0 {
				got += " "
			}
			got += s
		}
		if got != held {
			t.Errorf("%s holds %q, want %q", key, got, held)
		}
	}
	expect(t, w, request(w, "cun-by-reader", "DELETE /v1/agents/a"), "SCOPE_MISSING")
	for _, line := range []string{"DELETE /v1/agents/a", "POST /v1/agents/a/restore"} {
		expect(t, w, request(w, "cun-by-keeper", line), "PERMISSION_MISSING")
		expect(t, w, request(w, "cun-live", line), "ALLOWED")
		expect(t, w, request(w, "cun-aw", line), "ALLOWED")
	}
	// Handing a key over revives it.
	w.Find("cun-by-gone").Creator = "user:full"
	expect(t, w, request(w, "cun-by-gone", "GET /v1/tags"), "ALLOWED")
}

func TestCuneiformNothingElseExists(t *testing.T) {
	table(t, "cun-live", `
		GET /org/developer-api ENDPOINT_UNKNOWN
		POST /org/developer-api/keys ENDPOINT_UNKNOWN
		GET /v1/keys ENDPOINT_UNKNOWN
		POST /v1/api-keys ENDPOINT_UNKNOWN
		GET /v1/documents/d/x ENDPOINT_UNKNOWN
		OPTIONS /v1/documents ENDPOINT_UNKNOWN
		DELETE /v1/agents ENDPOINT_UNKNOWN
		PUT /v1/agents ENDPOINT_UNKNOWN
		POST /v1/agents/a ENDPOINT_UNKNOWN
		POST /v1/agents/a/config ENDPOINT_UNKNOWN
		DELETE /v1/agents/a/config ENDPOINT_UNKNOWN
		GET /v1/agents/a/restore ENDPOINT_UNKNOWN
		GET /v1/agents/a/query ENDPOINT_UNKNOWN
		POST /v1/agents/a/query/x ENDPOINT_UNKNOWN
		GET /agents/a ENDPOINT_UNKNOWN
		POST /v1/documents/search ALLOWED
		DELETE /v1/documents ALLOWED`)
}

func TestCuneiformEnvironmentIsTold(t *testing.T) {
	w := Fixture()
	for _, environment := range []string{"live", "test"} {
		r := request(w, "cun-"+environment, "GET /v1/tags")
		d := expect(t, w, r, "ALLOWED")
		want := map[string]string{
			"x-latchkey-key-id": "key_cun-" + environment, "x-latchkey-policy": "cuneiform", "x-latchkey-type": "key",
			"x-latchkey-tenant": "org:o_1", "x-latchkey-environment": environment,
			"x-latchkey-scopes": "agents:query agents:read agents:write knowledge:read knowledge:write",
		}
		if fmt.Sprint(d.Identity) != fmt.Sprint(want) {
			t.Errorf("identity %v, want %v", d.Identity, want)
		}
		r.Extensions = map[string]string{"latchkey.environment": "live"}
		if environment == "live" {
			expect(t, w, r, "ALLOWED")
		} else {
			expect(t, w, r, "ENVIRONMENT_MISMATCH")
		}
	}
}
