package lint

import (
	"slices"
	"strings"

	"github.com/latchkey/latchkey/envoyconf"
)

// What filters do, by the part of their type's name after filters.http.
var (
	// programs are filters that do whatever somebody has written.
	programs = []string{"lua", "wasm", "golang", "ext_proc", "dynamic_modules", "composite"}
	// rewriters change requests and do nothing else.
	rewriters = []string{
		"header_mutation", "transform", "grpc_json_transcoder", "grpc_json_reverse_transcoder", "connect_grpc_bridge", "grpc_http1_reverse_bridge",
		"mcp_router", "mcp_json_rest_bridge",
	}
	caches    = []string{"cache", "cache_v2"}
	answerers = []string{"health_check", "file_server", "oauth2", "aws_lambda"}
	// limiters hold requests back that come too often.
	limiters = []string{"ratelimit", "local_ratelimit", "rate_limit_quota"}
	// quiet filters refuse, count, delay, compress, or add what concerns no policy.
	quiet = []string{
		"router", "ext_authz", "buffer", "compressor", "decompressor", "cors", "csrf", "fault", "ratelimit", "rate_limit_quota",
		"local_ratelimit", "bandwidth_limit", "bandwidth_share", "admission_control", "adaptive_concurrency", "rbac", "jwt_authn",
		"health_check", "grpc_stats", "grpc_web", "grpc_http1_bridge", "stateful_session", "on_demand", "aws_request_signing", "aws_lambda",
		"gcp_authn", "credential_injector", "set_metadata", "set_filter_state", "header_to_metadata", "json_to_metadata",
		"sse_to_metadata", "thrift_to_metadata", "file_system_buffer", "kill_request", "original_src", "proto_message_extraction",
		"grpc_field_extraction", "api_key_auth", "basic_auth", "body_size_limit", "cdn_loop", "dynamic_forward_proxy", "geoip",
		"ip_tagging", "mcp", "a2a", "upstream_codec", "tap", "filter_chain", "custom_response",
	}
)

// filter is an HTTP filter with the place where it stands.
type filter struct {
	node
	typ    string // name of its message
	kind   string // part of that after filters.http: lua, router
	config node
}

func filterOf(at node, typ string, config node) filter {
	_, kind, _ := strings.Cut(typ, "filters.http.")
	kind, _, _ = strings.Cut(kind, ".")
	return filter{at, typ, kind, config}
}

// filtersOf are the filters of a list such as http_filters.
func filtersOf(list node) (filters []filter) {
	for _, f := range list.items() {
		name, config := f.get("typed_config").typed()
		// A control plane that hands in the settings later says what they are of.
		for _, later := range f.get("config_discovery", "type_urls").items() {
			name = afterSlash(later.text())
		}
		filters = append(filters, filterOf(f, name, config))
	}
	return filters
}

// wrappers are messages that have filters of other types in them, and decide which of these a request goes through.
var wrappers = []string{"ExtensionWithMatcher", "ExtensionWithMatcherPerRoute", "Composite", "ExecuteFilterAction", "CompositePerRoute", "FilterChainConfig", "FilterChainConfigPerRoute"}

func isWrapper(typ string) bool {
	return slices.Contains(wrappers, typ[strings.LastIndexByte(typ, '.')+1:])
}

// parts are the filters that a request may meet in the place of one: those that it wraps, or itself.
func (f filter) parts() []filter {
	if !isWrapper(f.typ) {
		return []filter{f}
	}
	if inside := filtersIn(f.config); len(inside) > 0 {
		return inside
	}
	return []filter{f}
}

// filtersIn are the filters within a value that wraps some.
func filtersIn(n node) (filters []filter) {
	n.within(func(_ string, n node) bool {
		for _, later := range n.get("config_discovery", "type_urls").items() {
			filters = append(filters, filterOf(n, afterSlash(later.text()), node{}))
		}
		name, config := n.typed()
		if !strings.Contains(name, ".filters.http.") || isWrapper(name) {
			return true
		}
		filters = append(filters, filterOf(n, name, config))
		return false
	})
	return filters
}

// rewrites reports whether a filter may make another request of one.
func (l *linter) rewrites(f filter) bool {
	switch {
	case !slices.Contains(programs, f.kind) && !slices.Contains(rewriters, f.kind):
		return false
	case f.kind == "lua":
		return mayRead(f.config)
	case f.kind == "ext_proc":
		mode := f.config.get("processing_mode")
		blind := mode.get("request_header_mode").text() == "SKIP" && oneOf(mode.get("request_body_mode"), "", "NONE") && !f.config.get("allow_mode_override").isTrue()
		return !blind && !f.config.get("observability_mode").isTrue() && !f.config.get("mutation_rules", "disallow_all").isTrue()
	case f.kind == "transform":
		return f.config.get("request_transformation").ok()
	case f.kind == "header_mutation":
		mutations := f.config.get("mutations")
		return mutations.get("query_parameter_mutations").ok() || slices.ContainsFunc(mutations.get("request_mutations").items(), l.matters)
	}
	return true
}

// mayRead reports whether a script may be one for requests: it is, unless all of it stands here and says nothing of them.
func mayRead(lua node) bool {
	seen, requests := false, false
	lua.within(func(field string, n node) bool {
		switch field {
		case "inline_string", "inline_code":
			seen = true
			requests = requests || strings.Contains(n.text(), "envoy_on_request")
		case "filename", "inline_bytes", "environment_variable":
			requests = true
		}
		return true
	})
	return !seen || requests
}

// matters reports whether a HeaderMutation is of a header by which the API, or Envoy, tells requests apart once they were checked.
func (l *linter) matters(mutation node) bool {
	name := strings.ToLower(mutation.get("append", "header", "key").text() + mutation.get("remove").text())
	return name == "" || strings.HasPrefix(name, ":") || name == "host" || l.isFact(name)
}

// isFact reports whether the API learns from a header what Latchkey has found out.
func (l *linter) isFact(header string) bool {
	header = strings.ToLower(header)
	return strings.HasPrefix(strings.ReplaceAll(header, "_", "-"), envoyconf.IdentityPrefix) || slices.Contains(l.reads.Tenants, header)
}

// routesAnew reports whether a filter may have the route chosen once more.
func (l *linter) routesAnew(f filter) bool {
	anew := l.rewrites(f) || f.kind == "on_demand"
	f.config.within(func(field string, n node) bool {
		anew = anew || field == "clear_route_cache" && n.isTrue()
		return true
	})
	return anew
}
