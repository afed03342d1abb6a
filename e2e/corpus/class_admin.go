package corpus

// admin tries the key management of the products, and Latchkey's own, with
// each kind of key.
func admin(b *builder) {
	lines := map[string][]string{
		"api.kodey.example":     {"POST /v1/api-keys", "GET /v1/api-keys", "DELETE /v1/api-keys/k", "POST /v1/api-keys/k/rotate", "PATCH /v1/team-settings", "POST /v1/members"},
		"api.cuneiform.example": {"GET /org/developer-api", "POST /org/developer-api/keys", "DELETE /org/developer-api/keys/k", "GET /v1/keys", "POST /v1/keys", "POST /v1/api-keys", "POST /v1/developer-api"},
		"apix.spotzee.com":      {"GET /api/projects/p_1/keys", "POST /api/projects/p_1/keys", "DELETE /api/projects/p_1/keys/k", "PUT /api/projects/p_1/settings", "POST /api/admin/keys", "DELETE /api/admin/keys/k", "GET /api/admin/billing", "POST /api/keys"},
		"api.shortkit.dev":      {"GET /v1/api-keys", "POST /v1/api-keys", "DELETE /v1/api-keys/k", "POST /v1/api-keys/k/rotate"},
	}
	for _, key := range keysOfEachType {
		host := hostOf(b.w.Find(key))
		if host == "api.staging.shortkit.dev" {
			host = "api.shortkit.dev"
		}
		for _, line := range lines[host] {
			b.h1(key+" "+line, request{line: line, key: key})
		}
		for _, line := range []string{"POST /latchkey.admin.v1.KeyAdmin/Create", "GET /metrics", "GET /debug/pprof/heap", "GET /healthz", "GET /config_dump", "POST /quitquitquit"} {
			b.h1(key+" "+line, request{line: line, key: key})
		}
	}
	for _, key := range []string{"spo-sk-support", "spo-sk-smtpproxy", "spo-sk-publisher", "spo-pk-admin", "spo-ok-member", "spo-ok-admin"} {
		for _, line := range lines["apix.spotzee.com"] {
			b.h1(key+" "+line, request{line: line, key: key})
		}
	}
}
