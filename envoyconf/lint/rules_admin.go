package lint

import "github.com/latchkey/latchkey/envoyconf"

// adminRules are about Envoy's own admin interface.
var adminRules = []Rule{{
	"admin-exposed", Error, "strangers end Envoy, read its configuration and change its runtime",
	"the admin interface asks nobody who they are",
	"let it listen on a Unix socket or on 127.0.0.1",
}}

func lookAtAdmin(l *linter) {
	for _, admin := range l.survey.admins {
		at := admin.get("address", "socket_address", "address")
		if at.ok() && !envoyconf.IsLoopback(at.text()) {
			l.find("admin-exposed", at, "the admin interface listens on "+at.text())
		}
	}
}
