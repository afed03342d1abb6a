// Package corpus holds crafted requests, honest and hostile, that are sent
// through a real Envoy to a real Latchkey with the four example policies, and
// the judge that says whether what happened was right.
//
// A harness sets up the keys and the directory of an oracle.World, then does
//
//	for _, c := range corpus.Cases(w) {
//		for _, p := range corpus.Profiles {
//			verdict, err := corpus.Judge(w, p, c, send(p, c))
//		}
//	}
//
// The judge never looks at the product. It asks the oracle twice: about what
// the upstream received, and about what Envoy, as this package models it, made
// of what the client sent.
//
// # What the harness must provide
//
// One clear-text listener for each profile that takes HTTP/1.1 and HTTP/2 with
// prior knowledge, whose only route is the prefix "/" for every host, so that
// every request is checked. Websocket upgrades are enabled (upgrade_configs:
// websocket; allow_connect for HTTP/2). No listener port is one of 81, 443,
// 8080 and 8443, for those are used in Host headers.
//
// Plain is Envoy's defaults and ext_authz without further settings. Hardened
// sets: normalize_path, merge_slashes, path_with_escaped_slashes_action
// REJECT_REQUEST, use_remote_address, headers_with_underscores_action
// REJECT_REQUEST, max_headers_count 100, strip_matching_host_port,
// strip_trailing_host_dot, and for HTTP/2
// override_stream_error_on_invalid_http_message; for ext_authz
// encode_raw_headers, validate_mutations, and allowed_headers with :authority,
// :method, :path, :scheme, authorization, x-request-id, content-type,
// x-team-id, x-organization-id, origin, access-control-request-method.
//
// A delayed_close_timeout of some milliseconds saves a second for each case
// that Envoy refuses by itself. HTTP/2 header blocks over one frame go on in
// CONTINUATION frames.
//
// The upstream answers 200 to everything (101 to a websocket handshake) and
// records what it receives byte for byte.
//
// The key ids of the World are those of the server, and so are the tokens of
// keys that the server itself has rotated: a harness writes both into the World
// before it calls Cases.
package corpus
