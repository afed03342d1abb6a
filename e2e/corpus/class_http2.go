package corpus

import (
	"strings"

	"github.com/latchkey/latchkey/internal/oracle"
)

func pseudo(method, path string) []oracle.Header {
	return []oracle.Header{{Name: ":method", Value: method}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: path}}
}

// http2Cases are header blocks that only HTTP/2 can carry.
func http2Cases(b *builder) {
	k := b.w.Find("kodey-pk")
	host, bearer := hostOf(k), "Bearer "+k.Token
	authority, credential := oracle.Header{Name: ":authority", Value: host}, oracle.Header{Name: "authorization", Value: bearer}
	// add takes the whole block; e is what Envoy answers by itself, nil when it
	// passes the request on as GET /v1/chat with these headers.
	add := func(name string, block []oracle.Header, e map[Profile]own) {
		s := sent{method: "GET", target: "/v1/chat", hosts: []string{host}}
		for _, h := range block {
			if !strings.HasPrefix(h.Name, ":") && h.Name != "host" {
				s.headers = append(s.headers, h)
			}
		}
		b.frames(name, Case{H2: block, KeyID: k.ID, sent: s, envoy: e})
	}
	base := func(more ...oracle.Header) []oracle.Header {
		return append(append(pseudo("GET", "/v1/chat"), authority, credential), more...)
	}
	refused := always(0)

	add("plain", base(), nil)
	add("two :path", append([]oracle.Header{{Name: ":path", Value: "/v1/members"}}, base()...), refused)
	add("two :method", append([]oracle.Header{{Name: ":method", Value: "POST"}}, base()...), refused)
	add("two :authority", append([]oracle.Header{{Name: ":authority", Value: "evil.example"}}, base()...), refused)
	add("two :scheme", append([]oracle.Header{{Name: ":scheme", Value: "https"}}, base()...), refused)
	add(":path after headers", append([]oracle.Header{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "http"}, authority, credential}, oracle.Header{Name: ":path", Value: "/v1/chat"}), refused)
	add("no :path", []oracle.Header{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "http"}, authority, credential}, refused)
	add("no :method", []oracle.Header{{Name: ":path", Value: "/v1/chat"}, {Name: ":scheme", Value: "http"}, authority, credential}, refused)
	add("no :scheme", []oracle.Header{{Name: ":method", Value: "GET"}, {Name: ":path", Value: "/v1/chat"}, authority, credential}, refused)
	add("no :authority", append(pseudo("GET", "/v1/chat"), credential), refused)
	add("empty :path", append(pseudo("GET", ""), authority, credential), refused)
	add("empty :method", append(pseudo("", "/v1/chat"), authority, credential), refused)
	add("unknown pseudo header", append([]oracle.Header{{Name: ":evil", Value: "1"}}, base()...), refused)
	add(":status in a request", append([]oracle.Header{{Name: ":status", Value: "200"}}, base()...), refused)
	add(":protocol without CONNECT", append([]oracle.Header{{Name: ":protocol", Value: "websocket"}}, base()...), refused)
	for _, scheme := range []string{"https", "ftp", "HTTP", "http://evil.example/?", "latchkey"} {
		block := base()
		block[1].Value = scheme
		add(":scheme "+scheme, block, schemeEnvoy[scheme])
	}
	for _, path := range []string{"/v1/chat HTTP/1.1\r\nHost: evil.example\r\n\r\nGET /v1/members", "/v1/chat\r\nX: y", "/v1/chat /v1/members", "/v1/chat\x00/v1/members", "/v1/chat\nX: y", "/v1/chat\t"} {
		add("a line in :path "+hexText(path), append(pseudo("GET", path), authority, credential), refused)
	}
	for _, method := range []string{"GET /v1/members HTTP/1.1\r\nX: y\r\n\r\nGET", "GET /v1/members", "GET\r\n", "GET\x00", "G(T"} {
		add("a line in :method "+hexText(method), append(pseudo(method, "/v1/chat"), authority, credential), refused)
	}
	for _, a := range []string{host + "\r\nX-Latchkey-Role: admin", host + "/v1/members", host + " evil", host + "\x00", host + "\xff"} {
		add("a line in :authority "+hexText(a), append(pseudo("GET", "/v1/chat"), oracle.Header{Name: ":authority", Value: a}, credential), refused)
	}
	for _, h := range []oracle.Header{
		{Name: "x", Value: "y\r\nx-latchkey-role: admin"},
		{Name: "x", Value: "y\nz"},
		{Name: "x", Value: "y\x00z"},
		{Name: "x\r\ny", Value: "z"},
		{Name: "x y", Value: "z"},
		{Name: "x:y", Value: "z"},
		{Name: "", Value: "z"},
		{Name: "Authorization", Value: bearer},
		{Name: "X-Latchkey-Role", Value: "admin"},
		{Name: "connection", Value: "close"},
		{Name: "connection", Value: "authorization"},
		{Name: "transfer-encoding", Value: "chunked"},
		{Name: "keep-alive", Value: "x"},
		{Name: "proxy-connection", Value: "x"},
		{Name: "upgrade", Value: "websocket"},
		{Name: "content-length", Value: "5"},
		{Name: "content-length", Value: "-1"},
		{Name: "content-length", Value: "x"},
		{Name: "x\xff", Value: "y"},
	} {
		add("header "+hexText(h.Name+": "+h.Value[:min(len(h.Value), 12)]), base(h), refused)
	}
	add("content-length twice", base(oracle.Header{Name: "content-length", Value: "0"}, oracle.Header{Name: "content-length", Value: "5"}), refused)
	add("te trailers", base(oracle.Header{Name: "te", Value: "trailers"}), nil)
	add("te gzip", base(oracle.Header{Name: "te", Value: "gzip"}), refused)
	add("cookies", base(oracle.Header{Name: "cookie", Value: "a=1"}, oracle.Header{Name: "cookie", Value: "b=2"}), nil)
	add("credential twice", base(credential), nil)
	add("underscore", base(oracle.Header{Name: "x_latchkey_role", Value: "evil"}), nil)
	add("eighty more headers", base(manyNumbered(80)...), nil)
}

// schemeEnvoy: Envoy takes any scheme of letters.
var schemeEnvoy = map[string]map[Profile]own{"http://evil.example/?": always(0)}
