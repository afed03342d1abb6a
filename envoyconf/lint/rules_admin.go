package lint

import (
	"slices"
	"strconv"
	"strings"

	"github.com/latchkey/latchkey/envoyconf"
)

// adminRules are about what only the machine's owner should reach: Envoy's own admin interface, and Latchkey.
var adminRules = []Rule{
	{
		"admin-exposed", Error, "strangers end Envoy, read its configuration and change its runtime",
		"the admin interface asks nobody who they are",
		"let it listen on a Unix socket that its owner alone may open, or on 127.0.0.1",
	},
	{
		"admin-routed", Error, "clients end Envoy, read its configuration and change its runtime",
		"the admin interface takes who comes from its own machine for the machine's owner, and so each request that a listener sends there",
		"take the route out; where others must read statistics, name no more than the path /stats/prometheus",
	},
	{
		"check-routed", Warning, "clients ask Latchkey themselves, about requests of their own making",
		"it answers whoever is connected: the answer names key and tenant, and no access log knows that somebody tries keys",
		"take the route out: nobody but the ext_authz filter has anything to ask",
	},
}

// harmless are the beginnings of the admin interface's paths that change nothing and tell no secret.
var harmless = []string{"/stats", "/ready"}

func isHarmless(path string) bool {
	return slices.ContainsFunc(harmless, func(p string) bool { return strings.HasPrefix(path, p) })
}

// isOpen reports whether an admin interface answers to more than what is harmless.
func isOpen(admin node) bool {
	allowed := admin.get("allow_paths").items()
	return len(allowed) == 0 || slices.ContainsFunc(allowed, func(p node) bool {
		return !isHarmless(p.get("exact").text() + p.get("prefix").text())
	})
}

func lookAtAdmin(l *linter) {
	for _, admin := range l.survey.admins {
		if !isOpen(admin) {
			continue
		}
		at := admin.get("address", "socket_address", "address")
		if at.ok() && !envoyconf.IsLoopback(at.text()) {
			l.find("admin-exposed", at, "the admin interface listens on "+at.text())
		}
		l.lookAtSocket(admin.get("address", "pipe"))
	}
	for _, listener := range l.survey.listeners {
		if listener.get("traffic_direction").text() == "OUTBOUND" {
			continue
		}
		for _, t := range connectionTargets(listener) {
			l.lookAtInside(t, false)
		}
	}
	for _, r := range l.survey.routes {
		if len(r.managers) > 0 && !slices.ContainsFunc(r.managers, func(m *manager) bool { return !m.outbound }) {
			continue
		}
		for _, scope := range r.scopes() {
			readsOnly := isHarmless(adminPath(scope))
			for _, t := range targets(scope.get("route")) {
				l.lookAtInside(t, readsOnly)
			}
			for _, mirror := range scope.get("route", "request_mirror_policies").items() {
				l.lookAtInside(mirror.get("cluster"), readsOnly)
			}
		}
	}
}

// lookAtSocket: who may connect to it is said by its mode, and of an abstract one by nobody.
func (l *linter) lookAtSocket(pipe node) {
	path, mode := pipe.get("path"), pipe.get("mode")
	if strings.HasPrefix(path.text(), "@") {
		l.findAs("admin-exposed", Warning, path, "the admin interface listens on an abstract socket, which every user of the machine may open")
	}
	const write = 0o002 // by others
	if m, err := strconv.ParseInt(mode.text(), 0, 32); err == nil && m&write != 0 {
		l.findAs("admin-exposed", Warning, mode, "every user of the machine may open the socket of the admin interface")
	}
}

// lookAtInside: a cluster that clients get to is neither the admin interface nor Latchkey.
func (l *linter) lookAtInside(cluster node, readsOnly bool) {
	if !readsOnly && slices.ContainsFunc(l.adminsOf(cluster.text()), isOpen) {
		l.find("admin-routed", cluster, "the cluster "+cluster.text()+" is the admin interface of this Envoy")
	}
	if l.survey.asked[cluster.text()] {
		l.find("check-routed", cluster, "the cluster "+cluster.text()+" is the one that the ext_authz filter asks")
	}
}

// adminsOf are the admin interfaces of this document that a cluster leads to.
func (l *linter) adminsOf(cluster string) (all []node) {
	asked := l.endpoints(cluster)
	for _, admin := range l.survey.admins {
		at := addressOf(admin.get("address"))
		if slices.ContainsFunc(asked, func(a address) bool { return a.reaches(at) }) {
			all = append(all, admin)
		}
	}
	return all
}

// adminPath is how the paths begin that a route leads to; empty where that isn't known.
func adminPath(route node) string {
	action := route.get("route")
	for _, name := range []string{"regex_rewrite", "path_rewrite_policy", "path_rewrite"} {
		if action.get(name).ok() {
			return ""
		}
	}
	if by := action.get("prefix_rewrite"); by.ok() {
		return by.text()
	}
	return pathOf(route)
}
