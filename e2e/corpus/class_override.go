package corpus

import "github.com/latchkey/latchkey/internal/oracle"

// overrides are headers by which some frameworks change method, path or host.
// They must change nothing here.
func overrides(b *builder) {
	for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-Method", "_method"} {
		b.both("shut by "+name, request{line: "GET /v1/feed", key: "sho-pk-live", headers: header(lower(name), "DELETE")})
		b.both("opened by "+name, request{line: "DELETE /v1/feed", key: "sho-pk-live", headers: header(lower(name), "GET")})
		b.h1("support writes by "+name, request{line: "POST /api/projects/p_1", key: "spo-sk-support", headers: header(name, "GET")})
	}
	for _, name := range []string{"X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-Forwarded-Uri", "X-Forwarded-Path", "X-Envoy-Original-Path", "X-Envoy-Decorator-Operation", "X-Accel-Redirect", "X-Override-URL", "Request-Uri", "Destination"} {
		b.both("opened by "+name, request{line: "GET /v1/members", key: "kodey-pk", headers: header(lower(name), "/v1/chat")})
		b.both("shut by "+name, request{line: "GET /v1/chat", key: "kodey-pk", headers: header(lower(name), "/v1/members")})
	}
	for _, name := range []string{"X-Forwarded-Host", "X-Host", "X-Original-Host", "X-Envoy-Original-Host", "X-Forwarded-Server", "X-HTTP-Host-Override", "Forwarded"} {
		value := "api.shortkit.dev"
		if name == "Forwarded" {
			value = "host=" + value
		}
		b.h1("host opened by "+name, request{line: "GET /v1/feed", key: "sho-pk-live", host: "evil.example", headers: header(name, value)})
		b.h1("host shut by "+name, request{line: "GET /v1/feed", key: "sho-pk-live", headers: header(name, "evil.example")})
		b.h1("environment by "+name, request{line: "GET /v1/feed", key: "sho-pk-test", host: "api.shortkit.dev", headers: header(name, "api.staging.shortkit.dev")})
	}
	for _, h := range []oracle.Header{
		{Name: "latchkey.policy", Value: "kodey"},
		{Name: "latchkey.environment", Value: "live"},
		{Name: "x-latchkey-policy", Value: "kodey"},
		{Name: "x-latchkey-environment", Value: "live"},
		{Name: "x-envoy-auth-partial-body", Value: "true"},
		{Name: "x-ext-authz-check-result", Value: "allowed"},
		{Name: "x-ext-authz", Value: "allow"},
		{Name: "x-envoy-auth-failure-mode-allowed", Value: "true"},
		{Name: "x-envoy-internal", Value: "true"},
	} {
		b.both("no key but "+h.Name, request{line: "GET /v1/feed", key: "sho-sk-live", auth: []string{}, headers: []oracle.Header{h}})
		b.both("test key and "+h.Name, request{line: "GET /v1/feed", key: "sho-sk-test", host: "api.shortkit.dev", headers: []oracle.Header{h}})
	}
}

// lower is the name for a case that HTTP/2 sends too, where capitals are an
// error of their own.
func lower(name string) string {
	b := []byte(name)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
