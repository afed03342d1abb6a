package corpus

import (
	"strings"

	"github.com/latchkey/latchkey/internal/oracle"
)

// spoofing sends headers that only Latchkey may set, with keys for which it
// sets different ones.
func spoofing(b *builder) {
	allowed := []struct{ key, line string }{
		{"kodey-pk", "GET /v1/chat"}, {"kodey-usk-many", "GET /v1/chat"}, {"cun-live", "GET /v1/documents"}, {"spo-sk-editor", "GET /api/client/x"}, {"sho-pk-live", "GET /v1/feed"},
	}
	for _, v := range allowed {
		for _, name := range oracle.IdentityHeaders {
			b.both(v.key+" "+name, request{line: v.line, key: v.key, headers: header(name, "evil-"+name)})
		}
		all := []oracle.Header{}
		for _, name := range oracle.IdentityHeaders {
			all = append(all, oracle.Header{Name: name, Value: "evil-1"}, oracle.Header{Name: name, Value: "evil-2"})
		}
		b.both(v.key+" all twice", request{line: v.line, key: v.key, headers: all})
		b.h1(v.key+" capitals", request{line: v.line, key: v.key, headers: []oracle.Header{{Name: "X-Latchkey-Principal", Value: "evil-p"}, {Name: "X-LATCHKEY-ROLE", Value: "evil-r"}, {Name: "x-LatchKey-Tenants", Value: "evil-t"}}})
		b.both(v.key+" empty", request{line: v.line, key: v.key, headers: []oracle.Header{{Name: "x-latchkey-principal", Value: ""}, {Name: "x-latchkey-role", Value: ""}, {Name: "x-latchkey-tenant", Value: ""}}})
		b.h1(v.key+" high bytes", request{line: v.line, key: v.key, headers: header("x-latchkey-role", "evil\xff")})
		for _, name := range []string{"x-latchkey-admin", "x-latchkey-key-id-2", "x-latchkey-", "x-latchkey-tenant.", "x-latchkey-user"} {
			b.both(v.key+" of our kind: "+name, request{line: v.line, key: v.key, headers: header(name, "evil")})
		}
		for _, name := range []string{"x_latchkey_principal", "x_latchkey_tenant", "x_latchkey_role", "X_LATCHKEY_KEY_ID"} {
			b.h1(v.key+" with underscores "+name, request{line: v.line, key: v.key, headers: header(name, "evil")})
		}
		b.h1(v.key+" dropped by Connection", request{line: v.line, key: v.key, headers: header("Connection", "x-latchkey-key-id, x-latchkey-tenant")})
		for _, name := range []string{"X-Envoy-Original-Path", "X-Envoy-Internal", "X-Envoy-External-Address", "X-Forwarded-For", "X-Forwarded-Client-Cert", "X-Request-Id", "X-Real-Ip", "X-User-Id"} {
			b.h1(v.key+" "+name, request{line: v.line, key: v.key, headers: header(name, "10.0.0.1")})
		}
	}
	for _, v := range []struct{ key, line string }{{"kodey-pk", "GET /v1/agents"}, {"spo-sk-support", "POST /api/client/x"}, {"cun-empty", "GET /v1/tags"}} {
		b.h1(v.key+" raises itself", request{line: v.line, key: v.key, headers: []oracle.Header{
			{Name: "x-latchkey-role", Value: "admin"}, {Name: "x-latchkey-type", Value: "secret"}, {Name: "x-latchkey-scopes", Value: "agents knowledge:read write"}, {Name: "x-latchkey-principal", Value: "user:ada"},
		}})
	}
	for _, name := range oracle.IdentityHeaders {
		b.h1("no key but "+name, request{line: "GET /v1/chat", key: "kodey-sk", auth: []string{}, headers: header(name, strings.ToLower(b.w.Find("kodey-sk").ID))})
	}
}
