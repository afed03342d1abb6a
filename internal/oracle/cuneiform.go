package oracle

import "sort"

// cuneiformScopes is the document's scope table: what the creator of a key
// must be allowed to do in the panel for the scope to count.
var cuneiformScopes = map[string][]string{
	"knowledge:read":  {"content.read"},
	"knowledge:write": {"content.upload", "content.update"},
	"agents:read":     {"agent.read"},
	"agents:write":    {"agent.create", "agent.update"},
	"agents:query":    {"agent.read"},
}

func cuneiformAccess(method string, s []string) access {
	if len(s) < 2 || s[0] != "v1" {
		return access{}
	}
	needs := func(scope, permission string) access {
		return access{known: true, types: []string{"key"}, scope: scope, permission: permission}
	}
	write := method == "POST" || method == "PUT" || method == "PATCH" || method == "DELETE"
	update := method == "PUT" || method == "PATCH"

	switch s[1] {
	case "documents", "folders", "tags": // the collection, and one of it ("search" included)
		if len(s) > 3 {
			return access{}
		}
		if isRead(method) {
			return needs("knowledge:read", "")
		}
		if write {
			return needs("knowledge:write", "")
		}
	case "agents":
		switch {
		case len(s) == 2: // /v1/agents
			if isRead(method) {
				return needs("agents:read", "")
			}
			if method == "POST" {
				return needs("agents:write", "")
			}
		case len(s) == 3: // /v1/agents/{id}
			if isRead(method) {
				return needs("agents:read", "")
			}
			if update {
				return needs("agents:write", "")
			}
			if method == "DELETE" {
				return needs("agents:write", "agent.delete")
			}
		case len(s) == 4 && s[3] == "config":
			if isRead(method) {
				return needs("agents:read", "")
			}
			if update {
				return needs("agents:write", "")
			}
		case len(s) == 4 && s[3] == "restore" && method == "POST":
			return needs("agents:write", "agent.delete")
		case len(s) == 4 && s[3] == "query" && method == "POST":
			return needs("agents:query", "")
		}
	}
	return access{}
}

// cuneiformPermits says whether the creator of a key holds a permission in the
// key's organization now. The operator holds everything.
func (w *World) cuneiformPermits(k Key, permission string) bool {
	return k.Creator == "" || w.mayIn(k.Creator, k.Tenant, permission)
}

// cuneiformHolds is the scopes of a key under its ceiling, sorted.
func (w *World) cuneiformHolds(k Key) []string {
	var held []string
	for scope, permissions := range cuneiformScopes {
		ok := contains(k.Scopes, scope)
		for _, p := range permissions {
			ok = ok && w.cuneiformPermits(k, p)
		}
		if ok {
			held = append(held, scope)
		}
	}
	sort.Strings(held)
	return held
}
