package corpus

import "github.com/latchkey/latchkey/internal/oracle"

// grpcKeys are one key of each system with a gRPC method, which none of the
// four has, and one path that it opens.
var grpcKeys = []struct{ key, open, shut string }{
	{"kodey-pk", "/v1/chat", "/v1/members"}, {"cun-live", "/v1/documents", "/org/developer-api"}, {"spo-sk-editor", "/api/client/x", "/api/admin/x"}, {"sho-sk-live", "/v1/content", "/v1/nothing"},
}

func grpcLike(b *builder, contentType string, te bool) {
	headers := header("content-type", contentType)
	if te {
		headers = append(headers, oracle.Header{Name: "te", Value: "trailers"})
	}
	for _, v := range grpcKeys {
		token := b.w.Find(v.key).Token
		for _, c := range []struct {
			name, path string
			auth       []string
		}{
			{"a service that no policy has", "/kodey.Chat/Send", nil},
			{"its own path", v.open, nil},
			{"a shut path", v.shut, nil},
			{"no key", v.open, []string{}},
			{"no key, unknown service", "/kodey.Chat/Send", []string{}},
			{"a broken key", v.open, []string{"Bearer " + token + "x"}},
			{"two keys", v.open, []string{"Bearer " + token, "Bearer " + token}},
			{"service with a dot segment", v.open + "/../" + v.shut[1:], nil},
		} {
			b.h2(v.key+" "+contentType+" "+c.name, request{line: "POST " + c.path, key: v.key, auth: c.auth, headers: headers})
		}
	}
	for _, path := range []string{"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/grpc.health.v1.Health/Check", "/envoy.service.auth.v3.Authorization/Check", "/latchkey.admin.v1.KeyAdmin/Create", "/latchkey.replica.v1.Replica/Follow"} {
		b.h2(contentType+" "+path, request{line: "POST " + path, key: "kodey-usk-one", headers: headers})
		b.h2(contentType+" "+path+" with an organisation key", request{line: "POST " + path, key: "spo-ok-owner", headers: headers})
	}
}

func grpcCases(b *builder) {
	grpcLike(b, "application/grpc", true)
	grpcLike(b, "application/grpc+proto", true)
}

func grpcWebCases(b *builder) {
	grpcLike(b, "application/grpc-web+proto", false)
	for _, v := range grpcKeys {
		for _, contentType := range []string{"application/grpc-web", "application/grpc-web-text"} {
			b.h1(v.key+" "+contentType, request{line: "POST /kodey.Chat/Send", key: v.key, headers: header("Content-Type", contentType), body: "\x00\x00\x00\x00\x00"})
			b.h1(v.key+" "+contentType+" own path", request{line: "POST " + v.open, key: v.key, headers: header("Content-Type", contentType), body: "\x00\x00\x00\x00\x00"})
			b.h1(v.key+" "+contentType+" no key", request{line: "POST " + v.open, key: v.key, auth: []string{}, headers: header("Content-Type", contentType), body: "\x00\x00\x00\x00\x00"})
		}
	}
}
