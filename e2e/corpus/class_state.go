package corpus

import "strings"

// states are keys that are not, or not wholly, in force, on a path that they
// would open, one that they wouldn't, and one that doesn't exist.
func states(b *builder) {
	lines := map[string][3]string{
		"kodey":     {"GET /v1/chat", "GET /v1/members", "GET /v1/nothing"},
		"cuneiform": {"GET /v1/documents", "DELETE /v1/agents/a", "GET /org/developer-api"},
		"spotzee":   {"POST /api/client/events", "GET /api/admin/x", "GET /api/nothing"},
		"shortkit":  {"GET /v1/feed", "GET /v1/analytics", "GET /v1/nothing"},
	}
	plain := map[string]bool{}
	for _, key := range keysOfEachType {
		plain[key] = true
	}
	for _, k := range b.w.Keys {
		if plain[k.Name] {
			continue // these are everywhere else
		}
		for i, what := range []string{"open", "shut", "unknown"} {
			b.h1(k.Name+" "+what, request{line: lines[k.Policy][i], key: k.Name})
		}
		b.h1(k.Name+" ambiguous path", request{line: lines[k.Policy][0] + "/%2e%2e;/x", key: k.Name})
		for i, old := range k.OldTokens {
			b.both(k.Name+" before rotation "+strings.Repeat("again ", i), request{line: lines[k.Policy][0], key: k.Name, auth: []string{"Bearer " + old.Token}})
			b.h1(k.Name+" before and after rotation", request{line: lines[k.Policy][0], key: k.Name, auth: []string{"Bearer " + old.Token, "Bearer " + k.Token}})
		}
	}
}
