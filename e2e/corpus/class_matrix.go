package corpus

import "strings"

// matrix is honest traffic: each key on each kind of endpoint, with the token
// it was given. It shows wrong denials, and right ones by key type, scope and
// role.
func matrix(b *builder) {
	grid := func(keys, lines string) {
		for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
			line = strings.TrimSpace(line)
			for _, key := range strings.Fields(keys) {
				b.h1(key+" "+line, request{line: line, key: key})
			}
		}
	}
	grid("kodey-pk kodey-sk kodey-usk-one kodey-usk-many", `
		POST /v1/chat
		GET /v1/chat/completions
		GET /v1/agents
		DELETE /v1/workflows/w
		POST /v1/mcp/call
		PUT /v1/files/f
		PATCH /v1/webhooks/h
		GET /v1/teams/t_1
		POST /v1/teams
		GET /v1/members
		POST /v1/api-keys
		GET /v1/billing/invoices
		HEAD /v1/team-settings
		POST /v1/export
		POST /v1/import/x
		OPTIONS /v1/chat`)
	grid("cun-live cun-test cun-kr cun-kw cun-ar cun-aw cun-aq cun-empty cun-by-reader cun-by-keeper cun-by-uploader cun-by-gone", `
		GET /v1/documents
		GET /v1/documents/search
		POST /v1/documents
		DELETE /v1/folders/f
		PATCH /v1/tags/t
		GET /v1/agents
		GET /v1/agents/a/config
		POST /v1/agents
		PATCH /v1/agents/a
		DELETE /v1/agents/a
		POST /v1/agents/a/restore
		POST /v1/agents/a/query`)
	grid("spo-pk-support spo-pk-editor spo-sk-support spo-sk-smtpproxy spo-sk-editor spo-sk-publisher spo-sk-admin spo-ok-member", `
		POST /api/client/identify
		POST /api/client/events
		GET /api/client/users
		GET /api/projects/p_1
		PUT /api/projects/p_1/lists/l
		POST /api/projects/p_1/smtp/send
		POST /api/projects/p_1/campaigns/c/publish
		GET /api/projects/p_1/settings
		POST /api/projects/p_1/keys`)
	grid("spo-ok-member spo-ok-admin spo-ok-owner spo-ok-owner-by-admin spo-ok-owner-by-member spo-ok-owner-by-left spo-sk-admin", `
		GET /api/admin/users
		POST /api/admin/users
		GET /api/admin/projects
		GET /api/admin/projects/p_1
		DELETE /api/admin/projects/p_1
		DELETE /api/admin/projects/p_1/lists/l
		GET /api/admin/billing`)
	grid("sho-sk-live sho-sk-test sho-pk-live sho-pk-test", `
		GET /v1/feed
		GET /v1/feed/f
		POST /v1/events
		GET /v1/config
		POST /v1/content
		GET /v1/analytics
		DELETE /v1/webhooks/h
		POST /v1/api-keys
		PUT /v1/config
		GET /v1/feed/f/g`)
}
