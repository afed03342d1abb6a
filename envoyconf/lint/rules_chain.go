package lint

import (
	"slices"
	"strings"
)

// chainRules are about what stands around the ext_authz filter.
var chainRules = []Rule{
	{
		"no-check", Error, "requests of this listener are not asked about",
		"a connection manager without the ext_authz filter sends everything to the API",
		"add the filter that `latchkey envoy config --part filter` prints before the router",
	},
	{
		"rewrites-after", Error, "a request reaches the API as another than was checked",
		"a filter behind the check can change path, query, host and headers that the API goes by, or have the route chosen anew",
		"put it before the ext_authz filter, or take it out",
	},
	{
		"shared-cache", Warning, "the answer for one key may be handed to another",
		"Latchkey has taken the credential out of the request, so that the cache sees nothing that tells callers apart",
		"cache in the API, or not at all",
	},
	{
		"answers-before", Warning, "requests are answered, or changed, before they are asked about",
		"a filter in front of the check can answer by itself, or with what it keeps from others",
		"put it behind the ext_authz filter where it changes nothing, else see that it never answers for the API",
	},
	{
		"unknown-after", Note, "nothing that is known",
		"whether this filter changes requests is not known here",
		"see that it changes neither path, host nor headers, or put it before the ext_authz filter",
	},
}

func lookAtChains(l *linter) {
	for _, m := range l.survey.managers {
		if m.guard < 0 {
			l.lookAtUnguarded(m)
			continue
		}
		// An upgrade may have filters of its own, in place of the others.
		for i, upgrade := range m.get("upgrade_configs").items() {
			if own := m.upgrades[i]; len(own.filters) > 0 && own.guard < 0 {
				l.find("no-check", upgrade, "upgrades to "+upgrade.get("upgrade_type").text()+" have filters of their own, without ext_authz")
			}
		}
		for _, c := range m.chains() {
			l.lookAround(c)
		}
	}
	for _, r := range l.survey.routes {
		l.lookAtOverrides(r)
	}
	for _, cluster := range l.survey.clusters {
		for _, options := range cluster.get("typed_extension_protocol_options").members() {
			_, message := options.typed()
			l.lookAtUpstreamFilters(message.get("http_filters"), "a cluster")
		}
	}
}

// lookAtUnguarded looks at a manager that asks nobody.
func (l *linter) lookAtUnguarded(m *manager) {
	if m.outbound || !m.get("http_filters").ok() {
		return
	}
	switch way := l.wayOf(m); {
	case way == answered:
	case way == health && l.survey.guarded():
		l.findAs("no-check", Note, m.node, "this connection manager has no ext_authz filter, and seems to be for health checks alone")
	case !l.behindCheck(m.listener):
		l.find("no-check", m.node, "this connection manager has no ext_authz filter")
	}
}

// lookAround looks at the filters before and behind the one that asks Latchkey.
func (l *linter) lookAround(c chain) {
	for _, outer := range c.before() {
		for _, f := range outer.parts() {
			switch {
			case f.kind == "lua" && !mayRead(f.config):
			case slices.Contains(caches, f.kind) && l.cachesKeys():
				l.findAs("answers-before", Error, f.node, "the filter "+f.kind+" stands before ext_authz, and hands what a key has opened to whoever has none")
			case slices.Contains(programs, f.kind), slices.Contains(caches, f.kind), slices.Contains(answerers, f.kind) && !isProbe(f):
				l.find("answers-before", f.node, "the filter "+f.kind+" stands before ext_authz")
			case f.kind == "buffer":
				l.find("body-sent", f.node, "the filter buffer stands before ext_authz")
			}
		}
	}
	after := c.after()
	if asking := c.filters[c.guard]; strings.HasSuffix(asking.typ, ".FilterChainConfig") {
		// What stands behind the check in a chain of its own does so here.
		inside := asking.parts()
		after = append(inside[slices.IndexFunc(inside, func(f filter) bool { return f.kind == "ext_authz" })+1:], after...)
	}
	for _, outer := range after {
		for _, f := range outer.parts() {
			l.lookAfter(f)
		}
		if outer.kind == "router" {
			l.lookAtUpstreamFilters(outer.config.get("upstream_http_filters"), "the router")
		}
	}
}

// cachesKeys reports whether a key may stand where Envoy's cache doesn't look for one: it keeps answers to requests that have no
// authorization.
func (l *linter) cachesKeys() bool {
	return slices.ContainsFunc(l.reads.Credentials, func(name string) bool { return name != "authorization" })
}

// isProbe reports whether a filter answers for no more than Envoy's own health.
func isProbe(f filter) bool {
	return f.kind == "health_check" && (f.config.get("pass_through_mode").isTrue() || slices.ContainsFunc(f.config.get("headers").items(), func(h node) bool { return h.get("name").text() == ":path" }))
}

// lookAfter looks at a filter that stands behind the check.
func (l *linter) lookAfter(f filter) {
	switch {
	case slices.Contains(caches, f.kind):
		l.find("shared-cache", f.node, "the filter "+f.kind+" stands after ext_authz")
	case l.rewrites(f):
		l.find("rewrites-after", f.node, "the filter "+f.kind+" stands after ext_authz")
	case f.kind == "on_demand":
		l.findAs("rewrites-after", Warning, f.node, "the filter on_demand finds routes after ext_authz, for requests that it didn't ask about")
	case f.config.ok() && !slices.Contains(slices.Concat(programs, rewriters, quiet), f.kind) && !strings.Contains(f.get("name").text(), "stats"):
		l.find("unknown-after", f.node, "the filter "+f.typ+" stands after ext_authz")
	}
	l.lookAtSetters(f)
}

// setters are fields of filters that name a header which they set.
var setters = []string{"forward_payload_header", "forward_username_header", "header_name", "header"}

// lookAtSetters looks at quiet filters that tell the API something in a header: it may be one in which Latchkey does.
func (l *linter) lookAtSetters(f filter) {
	if !slices.Contains([]string{"jwt_authn", "basic_auth", "api_key_auth", "geoip", "ip_tagging", "credential_injector", "mcp"}, f.kind) {
		return
	}
	f.config.within(func(field string, n node) bool {
		if slices.Contains(setters, field) && n.text() != "" && l.isFact(n.text()) {
			l.find("identity-changed", n, "the filter "+f.kind+" stands after ext_authz and sets "+n.text())
		}
		return true
	})
}

// lookAtUpstreamFilters looks at filters that come after all of those of a listener.
func (l *linter) lookAtUpstreamFilters(list node, of string) {
	for _, outer := range filtersOf(list) {
		for _, f := range outer.parts() {
			if l.rewrites(f) {
				l.find("rewrites-after", f.node, "the filter "+f.kind+" of "+of+" comes after ext_authz")
			}
		}
	}
}

// lookAtOverrides looks at what routes say of filters that stand behind the check.
func (l *linter) lookAtOverrides(r *routes) {
	for _, scope := range r.scopes() {
		for _, o := range scope.overrides() {
			if !r.isAfter(o.name) {
				continue
			}
			var all []filter
			switch own := filterOf(o.at, o.kind, o.settings); {
			case isWrapper(o.kind):
				all = filtersIn(o.settings)
			case own.kind == "header_mutation", own.kind == "lua" && o.settings.get("source_code").ok():
				all = []filter{own}
			}
			for _, f := range all {
				if l.rewrites(f) {
					l.find("rewrites-after", f.node, "the filter "+f.kind+", as a route has it, stands after ext_authz")
				}
			}
		}
	}
}

// rewritten reports whether a filter behind the check may choose the route anew.
func (m *manager) rewritten(l *linter) bool {
	for _, c := range m.chains() {
		for _, outer := range c.after() {
			if slices.ContainsFunc(outer.parts(), l.routesAnew) {
				return true
			}
		}
	}
	return false
}
