package lint

import (
	"slices"
	"strings"
)

// routeRules are about routes: which requests are asked about at all, and what they become afterwards.
var routeRules = []Rule{
	{
		"no-catch-all", Warning, "requests without a route are not asked about",
		"Envoy asks once a route is found; without one it answers 404 by itself, and a filter behind the check that has the route chosen anew sends the request on unchecked",
		"end each virtual host with { match: { prefix: / } }, and give one of them domains: [\"*\"]",
	},
	{
		"unchecked-route", Error, "more than was meant is not asked about",
		"ext_authz is off for a prefix, a pattern or a whole host: /public also stands for /publicity and, where paths are not normalized, for /public/../admin",
		"leave the check on and declare the endpoint public in the policy; else match an exact path",
	},
	{
		"unchecked-path", Note, "forged identity headers reach the API on this path",
		"ext_authz is off for it, so that nobody removes x-latchkey- headers and the client's key",
		"declare the endpoint public in the policy",
	},
	{
		"other-check", Warning, "another server decides on this route",
		"the route's own settings name another service than the filter does",
		"take grpc_service and http_service out of check_settings",
	},
	{
		"unpinned-port", Error, "a request with a port in its host evades what its virtual host decides",
		"\"api.example:1\" is another host than \"api.example\" to Envoy's routes, and the same to Latchkey, which cuts the port",
		"set ignore_port_in_host_matching: true in the route configuration, or strip_any_host_port: true in the connection manager",
	},
	{
		"rewritten-path", Warning, "the API gets another path than was checked",
		"Latchkey sees the path before the rewrite: write the policy for that, and see that no two paths become one",
		"let the API serve the paths that clients ask for, or write the policy with the rewrite in mind",
	},
	{
		"client-chooses", Warning, "the client says where its request goes, after it was checked",
		"Latchkey sees the host that the client wrote; the header may name another host, or another cluster",
		"name the cluster and the host in the route, or have a filter before ext_authz set the header",
	},
	{
		"identity-changed", Error, "the API is told something else than Latchkey found",
		"headers of a route are added and removed after the check",
		"leave x-latchkey- headers, and those that name tenants, alone",
	},
	{
		"internal-redirect", Warning, "an answer of the API makes Envoy ask for another path",
		"the second request has lost its key to the first check, and is refused at best",
		"take internal_redirect_policy out",
	},
	{
		"routes-unseen", Note, "nothing that is known",
		"the routes come from elsewhere, or are told apart in a way that isn't read here",
		"look at Envoy's /config_dump, which has the routes that it uses",
	},
}

func lookAtRoutes(l *linter) {
	for _, r := range l.survey.routes {
		if len(r.managers) > 0 && !r.guarded() {
			continue // said by no-check, or nothing that is asked about
		}
		l.lookAtCatchAll(r)
		l.lookAtPort(r)
		l.lookAtScope(r.node, false)
		for _, host := range r.get("virtual_hosts").items() {
			l.lookAtScope(host, false)
			for _, route := range host.get("routes").items() {
				l.lookAtRoute(route)
			}
		}
		l.lookAtChoices(r)
	}
	for _, m := range l.survey.managers {
		if m.guard < 0 {
			continue
		}
		seen := len(l.survey.routesOf(m)) > 0
		for _, name := range []string{"rds", "scoped_routes"} {
			if f := m.get(name); f.ok() && (!seen || name == "scoped_routes") {
				l.find("routes-unseen", f, "the routes come by "+name)
			}
		}
	}
}

func (l *linter) lookAtCatchAll(r *routes) {
	severity := Warning
	if slices.ContainsFunc(r.managers, func(m *manager) bool { return m.rewritten(l) }) {
		severity = Error
	}
	everyHost := false
	for _, host := range r.get("virtual_hosts").items() {
		everyHost = everyHost || slices.ContainsFunc(host.get("domains").items(), func(d node) bool { return d.text() == "*" })
		if f := host.get("matcher"); f.ok() {
			l.find("routes-unseen", f, "routes are told apart by a matcher")
			continue
		}
		if all := host.get("routes").items(); !slices.ContainsFunc(all, catchesAll) {
			l.findAs("no-catch-all", severity, host, "paths of this host may have no route")
		}
	}
	switch f := r.get("vhds"); {
	case f.ok():
		l.find("routes-unseen", f, "virtual hosts come by vhds")
	case !everyHost:
		l.findAs("no-catch-all", severity, r.node, "hosts may have no route")
	}
}

// catchesAll reports whether a route matches every request.
func catchesAll(route node) bool {
	match := route.get("match")
	for name := range match.members() {
		switch name {
		case "prefix", "safe_regex", "safeRegex", "case_sensitive", "caseSensitive":
		default:
			return false
		}
	}
	if match.get("prefix").text() == "/" {
		return true
	}
	pattern := match.get("safe_regex", "regex").text()
	return pattern == ".*" || pattern == "/.*"
}

// lookAtPort: where one host is treated otherwise than the rest, it must be that host with any port.
func (l *linter) lookAtPort(r *routes) {
	if r.get("ignore_port_in_host_matching").isTrue() || len(r.managers) > 0 && !slices.ContainsFunc(r.managers, func(m *manager) bool { return !m.get("strip_any_host_port").isTrue() }) {
		return
	}
	for _, host := range r.get("virtual_hosts").items() {
		everybody := slices.ContainsFunc(host.get("domains").items(), func(d node) bool { return d.text() == "*" })
		own := slices.ContainsFunc(l.checksOf(host), func(c override) bool { return c.settings.get("check_settings", "context_extensions").ok() })
		if own && !everybody {
			l.find("unpinned-port", host, "this virtual host has context_extensions of its own, for requests without a port only")
		}
	}
}

func (l *linter) lookAtRoute(route node) {
	match := route.get("match")
	exact := match.get("path").ok()
	if !answersItself(route) {
		l.lookAtScope(route, exact)
	}
	if f := match.get("connect_matcher"); f.ok() {
		l.find("connect", f, "a route takes CONNECT")
	}
	action := route.get("route")
	for _, name := range []string{"prefix_rewrite", "regex_rewrite", "path_rewrite_policy", "path_rewrite"} {
		if f := action.get(name); f.ok() {
			l.find("rewritten-path", f, name+" changes the path after the check")
		}
	}
	for _, name := range []string{"host_rewrite_header", "cluster_header", "host_rewrite_path_regex"} {
		if f := action.get(name); f.ok() {
			l.find("client-chooses", f, name+": the request says where it goes, after the check")
		}
	}
	for _, name := range []string{"internal_redirect_policy", "internal_redirect_action"} {
		if f := action.get(name); f.ok() && f.text() != "PASS_THROUGH_INTERNAL_REDIRECT" {
			l.find("internal-redirect", f, name+" is set")
		}
	}
	for _, upgrade := range action.get("upgrade_configs").items() {
		l.lookAtUpgrade(upgrade)
	}
	for _, cluster := range action.get("weighted_clusters", "clusters").items() {
		l.lookAtScope(cluster, exact)
	}
}

// lookAtChoices looks for other ways in which a request says where it goes: by a header that names the endpoint, or the host.
func (l *linter) lookAtChoices(r *routes) {
	for _, scope := range r.scopes() {
		for _, t := range targets(scope.get("route")) {
			for _, c := range l.survey.named[t.text()] {
				if f := c.get("original_dst_lb_config", "use_http_header"); f.isTrue() {
					l.findAs("client-chooses", Error, f, "use_http_header: a header says to which address the request goes, after the check")
				}
			}
		}
		for _, o := range scope.overrides() {
			if f := o.settings.get("host_rewrite_header"); f.ok() && strings.Contains(o.kind, ".dynamic_forward_proxy.") {
				l.find("client-chooses", f, "host_rewrite_header: the request says where it goes, after the check")
			}
		}
	}
}

func (l *linter) lookAtUpgrade(upgrade node) {
	if kind := upgrade.get("upgrade_type"); strings.HasPrefix(strings.ToUpper(kind.text()), "CONNECT") && !(upgrade.get("enabled").ok() && !upgrade.get("enabled").isTrue()) {
		l.find("connect", kind, "upgrade_type "+kind.text()+" is open")
	}
}

// lookAtScope looks at what a route, a virtual host or all of them say of the filter and of headers. exact is whether it is for
// one path alone.
func (l *linter) lookAtScope(scope node, exact bool) {
	for _, own := range l.checksOf(scope) {
		switch {
		case own.disabled && exact:
			l.find("unchecked-path", own.at, "ext_authz is off for this path")
		case own.disabled:
			l.find("unchecked-route", own.at, "ext_authz is off, and not for one exact path")
		}
		for _, name := range []string{"grpc_service", "http_service"} {
			f := own.settings.get("check_settings", name)
			if f.ok() && !l.survey.asked[f.get("envoy_grpc", "cluster_name").text()] {
				l.find("other-check", f, "check_settings has a "+name+" of its own")
			}
		}
	}
	for _, h := range scope.get("request_headers_to_add").items() {
		l.lookAtChanged(h.get("header", "key"))
	}
	for _, h := range scope.get("request_headers_to_remove").items() {
		l.lookAtChanged(h)
	}
}

func (l *linter) lookAtChanged(header node) {
	if l.isFact(header.text()) {
		l.find("identity-changed", header, strings.ToLower(header.text())+" is changed after the check")
	}
}

// checksOf returns what a scope says of ext_authz filters.
func (l *linter) checksOf(scope node) (all []override) {
	for _, o := range scope.overrides() {
		if strings.HasSuffix(o.kind, ".ExtAuthzPerRoute") || o.disabled && l.asks(o.name) {
			o.disabled = o.disabled || o.settings.get("disabled").isTrue()
			all = append(all, o)
		}
	}
	return all
}

// asks reports whether a filter of this name asks Latchkey.
func (l *linter) asks(name string) bool {
	return strings.Contains(name, "ext_authz") || slices.ContainsFunc(l.survey.managers, func(m *manager) bool {
		return m.guard >= 0 && m.filters[m.guard].get("name").text() == name
	})
}
