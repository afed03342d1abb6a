package lint

import "strings"

// managerRules are about what a connection manager makes of requests before anybody is asked.
var managerRules = []Rule{
	{
		"path-normalization", Warning, "Envoy's routes, Latchkey and the API read different paths",
		"/v1/chat/../members is one path to a route and another to a server. Latchkey refuses such paths; what else goes by the path doesn't",
		"set normalize_path: true, merge_slashes: true and path_with_escaped_slashes_action: REJECT_REQUEST, or UNESCAPE_AND_REDIRECT",
	},
	{
		"underscores", Warning, "a header that Latchkey has verified reaches the API a second time, forged",
		"many servers read x_team_id as x-team-id, and x_latchkey_tenant as x-latchkey-tenant",
		"set common_http_protocol_options.headers_with_underscores_action: REJECT_REQUEST, or DROP_HEADER",
	},
	{
		"client-claims", Warning, "clients say who they are: their address, their request id, how Envoy should retry",
		"unless use_remote_address is set, Envoy believes x-forwarded-for, and takes x-envoy- headers from whom it takes for one of its own",
		"set use_remote_address: true, and xff_num_trusted_hops where proxies of yours stand before this Envoy",
	},
	{
		"internal-addresses", Warning, "clients of private addresses are trusted",
		"x-envoy-original-path, x-envoy-max-retries and others of theirs are believed and passed on; an empty internal_address_config trusts all private addresses",
		"take internal_address_config out",
	},
	{
		"stream-duration", Warning, "a revoked key keeps what is open",
		"a websocket or a stream is checked once, when it opens, and lives as long as both sides like",
		"set common_http_protocol_options.max_stream_duration: 3600s",
	},
	{
		"shared-connection", Note, "one bad request ends the connection of many",
		"over HTTP/2 and HTTP/3 a proxy's clients share a connection, which Envoy closes on the first invalid message",
		"set http2_protocol_options.override_stream_error_on_invalid_http_message: true",
	},
	{
		"connect", Warning, "nothing; every such request is refused",
		"CONNECT asks for a tunnel and names no path, so that no endpoint can be meant; Latchkey always refuses it",
		"take the CONNECT upgrade out",
	},
}

func lookAtManagers(l *linter) {
	for _, m := range l.survey.managers {
		if m.guard < 0 {
			continue
		}
		l.lookAtPaths(m)
		common := m.get("common_http_protocol_options")
		if !oneOf(common.get("headers_with_underscores_action"), "REJECT_REQUEST", "DROP_HEADER") {
			l.find("underscores", m.orField("common_http_protocol_options"), "headers with underscores are not refused")
		}
		if !m.get("use_remote_address").isTrue() {
			l.find("client-claims", m.orField("use_remote_address"), "use_remote_address is off")
		}
		// Null, too, is an explicit one to some ways of writing it down.
		if f := m.get("internal_address_config"); f.Tree != nil {
			l.find("internal-addresses", f, "there is an internal_address_config")
		}
		if !common.get("max_stream_duration").ok() {
			l.find("stream-duration", m.orField("common_http_protocol_options"), "streams may last for ever")
		}
		l.lookAtConnection(m)
		for _, upgrade := range m.get("upgrade_configs").items() {
			l.lookAtUpgrade(upgrade)
		}
	}
}

func (l *linter) lookAtConnection(m *manager) {
	version, name := "HTTP/2", "http2_protocol_options"
	switch m.get("codec_type").text() {
	case "HTTP1":
		return
	case "HTTP3":
		version, name = "HTTP/3", "http3_protocol_options"
	}
	if !m.get(name, "override_stream_error_on_invalid_http_message").isTrue() {
		l.find("shared-connection", m.orField(name), "an invalid message over "+version+" ends the connection")
	}
}

func (l *linter) lookAtPaths(m *manager) {
	var off []string
	at := node{}
	for _, name := range []string{"normalize_path", "merge_slashes", "path_with_escaped_slashes_action"} {
		if f := m.get(name); !f.isTrue() && !oneOf(f, "REJECT_REQUEST", "UNESCAPE_AND_REDIRECT") {
			off = append(off, name)
			at = m.orField(name)
		}
	}
	if len(off) > 0 {
		l.find("path-normalization", at, "paths are not made one spelling: "+strings.Join(off, ", "))
	}
}

// orField is a field of the manager, or the manager where it hasn't got it.
func (m *manager) orField(name string) node {
	if f := m.get(name); f.ok() {
		return f
	}
	return m.node
}
