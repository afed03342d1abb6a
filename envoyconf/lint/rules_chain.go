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
		"bypass-chain", Warning, "connections that match this filter chain are not asked about",
		"the chain passes bytes on without reading requests, beside one that asks",
		"take the chain out, or give it a listener of its own that strangers can't reach",
	},
	{
		"rewrites-after", Error, "a request reaches the API as another than was checked",
		"a filter behind the check can change path, host and headers, and have the route chosen anew",
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

// What filters do, by the part of their type's name after filters.http.
var (
	// programs are filters that do whatever somebody has written.
	programs = []string{"lua", "wasm", "golang", "ext_proc", "dynamic_modules", "composite"}
	// rewriters change requests and do nothing else.
	rewriters = []string{"header_mutation", "grpc_json_transcoder", "grpc_json_reverse_transcoder", "connect_grpc_bridge", "grpc_http1_reverse_bridge", "mcp_router", "mcp_json_rest_bridge"}
	caches    = []string{"cache", "cache_v2"}
	answerers = []string{"health_check", "file_server", "oauth2", "aws_lambda"}
	// quiet filters refuse, count, delay, compress, or add what concerns no policy.
	quiet = []string{
		"router", "ext_authz", "buffer", "compressor", "decompressor", "cors", "csrf", "fault", "ratelimit", "rate_limit_quota",
		"local_ratelimit", "bandwidth_limit", "admission_control", "adaptive_concurrency", "rbac", "jwt_authn", "health_check",
		"grpc_stats", "grpc_web", "grpc_http1_bridge", "stateful_session", "on_demand", "aws_request_signing", "aws_lambda",
		"gcp_authn", "credential_injector", "set_metadata", "set_filter_state", "header_to_metadata", "json_to_metadata",
		"file_system_buffer", "kill_request", "original_src", "proto_message_extraction", "thrift_to_metadata", "api_key_auth",
	}
)

func lookAtChains(l *linter) {
	for _, m := range l.survey.managers {
		if m.guard < 0 {
			if !m.outbound && !answersItself(m) && m.get("http_filters").ok() {
				l.find("no-check", m.node, "this connection manager has no ext_authz filter")
			}
			continue
		}
		// An upgrade may have filters of its own, in place of the others.
		for _, upgrade := range m.get("upgrade_configs").items() {
			if filters := upgrade.get("filters"); len(filters.items()) > 0 && !holdsCheck(filters) {
				l.find("no-check", upgrade, "upgrades to "+upgrade.get("upgrade_type").text()+" have filters of their own, without ext_authz")
			}
		}
		for _, f := range m.filters[:m.guard] {
			if slices.Contains(programs, f.kind) || slices.Contains(caches, f.kind) || slices.Contains(answerers, f.kind) && !f.config.get("pass_through_mode").isTrue() {
				l.find("answers-before", f.node, "the filter "+f.kind+" stands before ext_authz")
			}
		}
		for _, f := range m.filters[m.guard+1:] {
			switch {
			case slices.Contains(caches, f.kind):
				l.find("shared-cache", f.node, "the filter "+f.kind+" stands after ext_authz")
			case slices.Contains(programs, f.kind), slices.Contains(rewriters, f.kind):
				if f.kind != "header_mutation" || f.config.get("mutations", "request_mutations").ok() {
					l.find("rewrites-after", f.node, "the filter "+f.kind+" stands after ext_authz")
				}
			case f.config.ok() && !slices.Contains(quiet, f.kind) && !strings.Contains(f.get("name").text(), "stats"):
				name, _ := f.get("typed_config").typed()
				l.find("unknown-after", f.node, "the filter "+name+" stands after ext_authz")
			}
		}
	}
	for _, listener := range l.survey.listeners {
		l.lookAtChainsOf(listener)
	}
	for _, cluster := range l.survey.clusters {
		l.lookAtUpstreamFilters(cluster)
	}
}

// lookAtUpstreamFilters looks at the filters of a cluster, which come after all of those of a listener.
func (l *linter) lookAtUpstreamFilters(cluster node) {
	for _, options := range cluster.get("typed_extension_protocol_options").members() {
		_, message := options.typed()
		for _, f := range filtersOf(message) {
			if slices.Contains(programs, f.kind) || slices.Contains(rewriters, f.kind) {
				l.find("rewrites-after", f.node, "the filter "+f.kind+" of a cluster comes after ext_authz")
			}
		}
	}
}

// answersItself reports whether no route of a manager leads anywhere: all are redirects or fixed answers, or there are none.
func answersItself(m *manager) bool {
	routes := m.get("route_config")
	if !routes.ok() || routes.get("vhds").ok() {
		return false
	}
	for _, host := range routes.get("virtual_hosts").items() {
		if host.get("matcher").ok() {
			return false
		}
		for _, route := range host.get("routes").items() {
			if !route.get("redirect").ok() && !route.get("direct_response").ok() {
				return false
			}
		}
	}
	return true
}

// lookAtChainsOf compares the filter chains of a listener: where one asks, none may pass bytes on, and no other listener may
// pass them on to where one that asks leads.
func (l *linter) lookAtChainsOf(listener node) {
	chains := listener.get("filter_chains").items()
	if last := listener.get("default_filter_chain"); last.ok() {
		chains = append(chains, last)
	}
	guarded := slices.ContainsFunc(chains, holdsCheck)
	for _, chain := range chains {
		for _, f := range chain.get("filters").items() {
			name, proxy := f.get("typed_config").typed()
			switch cluster := proxy.get("cluster").text(); {
			case !strings.HasSuffix(name, ".TcpProxy"):
			case guarded:
				l.find("bypass-chain", chain, "this filter chain is a TCP proxy, and another one of the listener asks Latchkey")
			case cluster != "" && slices.Contains(l.guarded(), cluster):
				l.find("bypass-chain", chain, "this filter chain is a TCP proxy to the cluster "+cluster+", for which another listener asks Latchkey")
			}
		}
	}
}

// guarded are the clusters that requests get to once they were asked about.
func (l *linter) guarded() (clusters []string) {
	for _, r := range l.survey.routes {
		if !slices.ContainsFunc(r.managers, func(m *manager) bool { return m.guard >= 0 }) {
			continue
		}
		for _, host := range r.get("virtual_hosts").items() {
			for _, route := range host.get("routes").items() {
				action := route.get("route")
				clusters = append(clusters, action.get("cluster").text())
				for _, one := range action.get("weighted_clusters", "clusters").items() {
					clusters = append(clusters, one.get("name").text())
				}
			}
		}
	}
	return clusters
}

// rewritten reports whether a filter behind the check may choose the route anew.
func (m *manager) rewritten() bool {
	return m.guard >= 0 && slices.ContainsFunc(m.filters[m.guard+1:], func(f filter) bool {
		return slices.Contains(programs, f.kind) || slices.Contains(rewriters, f.kind)
	})
}
