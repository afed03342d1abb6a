package oracle

// kodeyCategories is the document's access matrix: which key types open which
// first path segment below /v1, with and without a tail, with all methods.
var kodeyCategories = map[string][]string{
	// Chat Operations: Yes Yes Yes
	"chat": {"publishable", "secret", "user_secret"},
	// Agent, Workflow, MCP, File, Webhook Operations: No Yes Yes
	"agents":    {"secret", "user_secret"},
	"workflows": {"secret", "user_secret"},
	"mcp":       {"secret", "user_secret"},
	"files":     {"secret", "user_secret"},
	"webhooks":  {"secret", "user_secret"},
	// Team, Member, API Key Management, Billing, Team Settings: No No Yes
	"teams":         {"user_secret"},
	"members":       {"user_secret"},
	"api-keys":      {"user_secret"},
	"billing":       {"user_secret"},
	"team-settings": {"user_secret"},
	// Export/Import: No No Yes
	"export": {"user_secret"},
	"import": {"user_secret"},
}

func kodeyAccess(method string, s []string) access {
	if len(s) < 2 || s[0] != "v1" {
		return access{}
	}
	types, ok := kodeyCategories[s[1]]
	if !ok {
		return access{}
	}
	// What a type opens is fixed, so there is no scope to miss.
	a := access{known: true, types: types}
	if s[1] == "teams" {
		if len(s) >= 3 {
			a.tenant = "team:" + s[2]
		} else if method == "POST" {
			a.tenantless = true // creating a team
		}
	}
	return a
}

// kodeyReaches says whether a user key reaches a team: its user is OWNER or
// ADMIN there now, and the team is active.
func (w *World) kodeyReaches(user, team string) bool {
	role := w.roleIn(user, team)
	return (role == "OWNER" || role == "ADMIN") && w.tenantActive(team)
}
