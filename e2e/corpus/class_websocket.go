package corpus

import "github.com/latchkey/latchkey/internal/oracle"

// websockets are handshakes; nothing follows them.
func websockets(b *builder) {
	handshake := func(more ...oracle.Header) []oracle.Header {
		return append([]oracle.Header{
			{Name: "Connection", Value: "Upgrade"},
			{Name: "Upgrade", Value: "websocket"},
			{Name: "Sec-WebSocket-Key", Value: "dGhlIHNhbXBsZSBub25jZQ=="},
			{Name: "Sec-WebSocket-Version", Value: "13"},
		}, more...)
	}
	for _, v := range []struct{ key, open, shut string }{
		{"kodey-pk", "/v1/chat/ws", "/v1/agents/ws"}, {"sho-pk-live", "/v1/feed/ws", "/v1/content/ws"}, {"spo-sk-support", "/api/client/ws", "/api/admin/ws"}, {"cun-kr", "/v1/documents/ws", "/v1/agents/ws"},
	} {
		token := b.w.Find(v.key).Token
		for _, c := range []struct {
			name, path string
			auth       []string
			more       []oracle.Header
		}{
			{"open", v.open, nil, nil},
			{"shut", v.shut, nil, nil},
			{"no key", v.open, []string{}, nil},
			{"broken key", v.open, []string{"Bearer " + token + "x"}, nil},
			{"key as a subprotocol", v.open, []string{}, header("Sec-WebSocket-Protocol", "bearer."+token)},
			{"key in the query", v.open + "?token=" + token, []string{}, nil},
			{"spoofed", v.open, nil, header("X-Latchkey-Principal", "evil")},
			{"dot segments", v.open + "/../../" + v.shut[4:], nil, nil},
		} {
			b.h1(v.key+" "+c.name, request{line: "GET " + c.path, key: v.key, auth: c.auth, headers: handshake(c.more...), keep: true})
		}
		for _, c := range []struct{ name, path string }{{"open", v.open}, {"shut", v.shut}} {
			s, id := b.complete(request{line: "CONNECT " + c.path, key: v.key})
			s.protocol = "websocket"
			block := append([]oracle.Header{{Name: ":method", Value: "CONNECT"}, {Name: ":protocol", Value: "websocket"}, {Name: ":scheme", Value: "http"}, {Name: ":authority", Value: s.hosts[0]}, {Name: ":path", Value: c.path}}, s.headers...)
			b.frames(v.key+" extended CONNECT "+c.name, Case{H2: block, KeyID: id, sent: s})
		}
	}
}
