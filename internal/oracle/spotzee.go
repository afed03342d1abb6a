package oracle

// What roles of spotzee can do. The names are this package's own.
const (
	spotzeeRead    = "read"
	spotzeeWrite   = "write"
	spotzeeSMTP    = "smtp"
	spotzeeCollect = "collect"
	spotzeePublish = "publish"
	spotzeeManage  = "manage"
	spotzeeBilling = "billing"
	spotzeeDelete  = "delete project"
)

// spotzeeProjectRoles and spotzeeOrganisationRoles: the two role hierarchies.
var (
	spotzeeProjectRoles = map[string][]string{
		"support":   {spotzeeRead},
		"smtpproxy": {spotzeeSMTP},
		"editor":    {spotzeeRead, spotzeeWrite, spotzeeSMTP, spotzeeCollect},
		"publisher": {spotzeeRead, spotzeeWrite, spotzeeSMTP, spotzeeCollect, spotzeePublish},
		"admin":     {spotzeeRead, spotzeeWrite, spotzeeSMTP, spotzeeCollect, spotzeePublish, spotzeeManage},
	}
	spotzeeOrganisationRoles = map[string][]string{
		"member": {spotzeeRead},
		"admin":  {spotzeeRead, spotzeeWrite},
		"owner":  {spotzeeRead, spotzeeWrite, spotzeeBilling, spotzeeDelete},
	}
)

func spotzeeAccess(method string, s []string) access {
	if len(s) < 3 || s[0] != "api" {
		return access{} // /api/client, /api/projects and /api/admin alone are nothing
	}
	switch s[1] {
	case "client":
		return spotzeeClient(method, s[2:])
	case "projects":
		return spotzeeProject(method, s[2], s[3:])
	case "admin":
		return spotzeeAdmin(method, s[2:])
	}
	return access{}
}

// readOrWrite: OPTIONS counts as a write.
func readOrWrite(method string) string {
	if isRead(method) {
		return spotzeeRead
	}
	return spotzeeWrite
}

// spotzeeClient is /api/client/**.
func spotzeeClient(method string, tail []string) access {
	if method == "POST" && len(tail) == 1 && contains([]string{"identify", "events", "devices"}, tail[0]) {
		return access{known: true, types: []string{"publishable", "secret"}, scope: spotzeeCollect}
	}
	return access{known: true, types: []string{"secret"}, scope: readOrWrite(method)}
}

// spotzeeProject is /api/projects/{project} and below.
func spotzeeProject(method, project string, tail []string) access {
	a := access{known: true, types: []string{"secret"}, scope: readOrWrite(method), tenant: "project:" + project}
	switch {
	case len(tail) >= 1 && (tail[0] == "settings" || tail[0] == "keys"):
		a.scope = spotzeeManage
	case method == "POST" && len(tail) == 2 && tail[0] == "smtp" && tail[1] == "send":
		a.scope = spotzeeSMTP
	case method == "POST" && len(tail) == 3 && tail[0] == "campaigns" && tail[2] == "publish":
		a.scope = spotzeePublish
	}
	return a
}

// spotzeeAdmin is /api/admin/**.
func spotzeeAdmin(method string, tail []string) access {
	a := access{known: true, types: []string{"organisation"}, scope: readOrWrite(method)}
	if tail[0] == "billing" {
		a.scope = spotzeeBilling
	}
	if tail[0] == "projects" && len(tail) >= 2 {
		a.tenant = "project:" + tail[1]
		if len(tail) == 2 && method == "DELETE" {
			a.scope = spotzeeDelete
		}
	}
	return a
}

// spotzeeHolds says whether a key can do something: through its role, and for
// an organisation key only what its creator's role can do there now, too.
func (w *World) spotzeeHolds(k Key, scope string) bool {
	if k.Type != "organisation" {
		return contains(spotzeeProjectRoles[k.Role], scope)
	}
	if !contains(spotzeeOrganisationRoles[k.Role], scope) {
		return false
	}
	if k.Creator == "" {
		return true // the operator holds everything
	}
	return contains(spotzeeOrganisationRoles[w.roleIn(k.Creator, k.Tenant)], scope)
}

// spotzeeChild says whether an organisation key reaches a project: a child of
// its own organisation that is active.
func (w *World) spotzeeChild(k Key, project string) bool {
	return k.Type == "organisation" && w.Tenants[project].Parent == k.Tenant && w.tenantActive(project)
}
