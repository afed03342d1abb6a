package corpus

import (
	"strconv"
	"strings"
)

// smuggling hides a second request, for a path that the key doesn't open, in
// the first, which it does.
func smuggling(b *builder) {
	k := b.w.Find("kodey-pk")
	host := "Host: " + hostOf(k) + "\r\n"
	credential := "Authorization: Bearer " + k.Token + "\r\n"
	const end = "Connection: close\r\n\r\n"
	hidden := "GET /v1/members HTTP/1.1\r\n" + host + credential + end

	lengths := func(lines string) string {
		return strings.ReplaceAll(lines, "LEN", strconv.Itoa(len(hidden)))
	}
	post := func(name, lines, body string, e map[Profile]own, pipeline bool) {
		raw := "POST /v1/chat HTTP/1.1\r\n" + host + credential + lengths(lines) + "\r\n" + body
		s := sent{method: "POST", target: "/v1/chat", hosts: []string{hostOf(k)}, headers: header("authorization", "Bearer "+k.Token)}
		b.raw(name, Case{Raw: []byte(raw), KeyID: k.ID, sent: s, envoy: e, pipeline: pipeline})
	}
	// Both lengths.
	both := always(400)
	post("CL and TE", "Content-Length: LEN\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"+hidden, both, false)
	post("TE and CL", "Transfer-Encoding: chunked\r\nContent-Length: LEN\r\n", "0\r\n\r\n"+hidden, both, false)
	post("CL 4 and TE", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", hexLen(hidden)+"\r\n"+hidden+"\r\n0\r\n\r\n", both, false)
	post("CL 0 and TE", "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"+hidden, both, false)
	post("TE capitals and CL", "TRANSFER-ENCODING: Chunked\r\nContent-Length: LEN\r\n", "0\r\n\r\n"+hidden, both, false)
	post("TE folded and CL", "Transfer-Encoding:\r\n chunked\r\nContent-Length: LEN\r\n", "0\r\n\r\n"+hidden, both, false)
	// Transfer codings written oddly: Envoy knows only "chunked".
	for _, value := range []string{"xchunked", "chunked, identity", "identity", "identity, chunked", "gzip, chunked", "chunked chunked", "chunked;x", "\"chunked\"", "chunked,", ",chunked", "cHuNkEd\x0b", "x"} {
		post("TE "+hexText(value), "Transfer-Encoding: "+value+"\r\n"+end[:len(end)-2], "0\r\n\r\n"+hidden, transferEnvoy(value), false)
	}
	post("TE twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"+hidden, always(501), false)
	post("TE twice, one unknown", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", "0\r\n\r\n"+hidden, always(501), false)
	post("TE with a space before the colon", "Transfer-Encoding : chunked\r\nContent-Length: LEN\r\n", "0\r\n\r\n"+hidden, both, false)
	post("TE with a space before the name", "X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: LEN\r\n"+end[:len(end)-2], hidden, nil, false)
	post("TE after a bare CR", "X: y\rTransfer-Encoding: chunked\r\nContent-Length: LEN\r\n"+end[:len(end)-2], hidden, nil, false)
	post("TE after a bare LF", "X: y\nTransfer-Encoding: chunked\r\nContent-Length: LEN\r\n", "0\r\n\r\n"+hidden, both, false)
	post("TE with an underscore", "Transfer_Encoding: chunked\r\nContent-Length: LEN\r\n"+end[:len(end)-2], hidden, on(Hardened, 400), false)
	post("TE with NUL", "Transfer-Encoding: chunked\x00\r\n", "0\r\n\r\n"+hidden, both, false)
	// Lengths that disagree or aren't numbers.
	for _, lines := range []string{
		"Content-Length: LEN\r\nContent-Length: 0\r\n", "Content-Length: 0\r\nContent-Length: LEN\r\n", "Content-Length: 0, LEN\r\n", "Content-Length: +LEN\r\n", "Content-Length: -1\r\n",
		"Content-Length: 0x10\r\n", "Content-Length: 1e1\r\n", "Content-Length: LEN abc\r\n", "Content-Length: \r\n", "Content-Length: 18446744073709551616\r\n", "Content-Length: LEN;x\r\n", "Content-Length: \"LEN\"\r\n", "Content-Length: 1_0\r\n",
	} {
		post(strings.TrimSpace(strings.ReplaceAll(lines, "\r\n", " ")), lines, hidden, both, false)
	}
	// Bodies that look like requests, and nothing more.
	closing := end[:len(end)-2]
	post("a request as body", "Content-Length: LEN\r\n"+closing, hidden, nil, false)
	post("a request as chunk", "Transfer-Encoding: chunked\r\n"+closing, hexLen(hidden)+"\r\n"+hidden+"\r\n0\r\n\r\n", nil, false)
	post("a chunk extension", "Transfer-Encoding: chunked\r\n"+closing, "1;x=y\r\na\r\n0\r\n\r\n", nil, false)
	post("a trailer with a credential", "Transfer-Encoding: chunked\r\nTE: trailers\r\nTrailer: authorization\r\n"+closing, "1\r\na\r\n0\r\nAuthorization: Bearer x\r\nX-Latchkey-Role: admin\r\n\r\n", nil, false)
	post("closed, then a request", closing, hidden, nil, false)
	post("expects 100", "Expect: 100-continue\r\nContent-Length: LEN\r\n"+closing, hidden, nil, false)

	// Requests after one another: each is one of its own.
	follow := func(name, first, second string, seen sent) {
		b.raw(name, Case{Raw: []byte(first + second), KeyID: k.ID, sent: seen, pipeline: true})
	}
	open := sent{method: "GET", target: "/v1/chat", hosts: []string{hostOf(k)}, headers: header("authorization", "Bearer "+k.Token)}
	first := "GET /v1/chat HTTP/1.1\r\n" + host + credential + "\r\n"
	follow("pipelined shut path", first, hidden, open)
	follow("pipelined without a key", first, "GET /v1/chat HTTP/1.1\r\n"+host+end, open)
	follow("pipelined shut path twice", first+strings.Replace(hidden, "Connection: close\r\n", "", 1), hidden, open)
	follow("pipelined other host", first, "GET /v1/chat HTTP/1.1\r\nHost: evil.example\r\n"+credential+end, open)
	follow("pipelined open path", first, "GET /v1/chat/x HTTP/1.1\r\n"+host+credential+end, open)
	follow("pipelined after an empty line", first+"\r\n", hidden, open)
	follow("pipelined after a chunked body", "POST /v1/chat HTTP/1.1\r\n"+host+credential+"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", hidden, sent{method: "POST", target: "/v1/chat", hosts: open.hosts, headers: open.headers})
	follow("pipelined after a body", "POST /v1/chat HTTP/1.1\r\n"+host+credential+"Content-Length: 1\r\n\r\na", hidden, sent{method: "POST", target: "/v1/chat", hosts: open.hosts, headers: open.headers})
	follow("pipelined after a GET with a body", "GET /v1/chat HTTP/1.1\r\n"+host+credential+"Content-Length: 1\r\n\r\na", hidden, open)
	shut := open
	shut.target = "/v1/members"
	follow("pipelined after a denial", strings.Replace(first, "/v1/chat", "/v1/members", 1), hidden, shut)
	nobody := open
	nobody.headers = nil
	follow("pipelined after a stranger", "GET /v1/chat HTTP/1.1\r\n"+host+"\r\n", hidden, nobody)

	// Upgrades.
	upgrade := func(name, lines, more string, e map[Profile]own) {
		b.raw(name, Case{Raw: []byte("GET /v1/chat HTTP/1.1\r\n" + host + credential + lines + "\r\n" + more), KeyID: k.ID, sent: open, envoy: e})
	}
	const socket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
	upgrade("a request behind a websocket handshake", socket, hidden, nil)
	upgrade("a body behind a websocket handshake", socket+lengths("Content-Length: LEN\r\n"), hidden, nil)
	upgrade("h2c", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n", "", nil)
	upgrade("h2c and a request", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n", hidden, nil)
	upgrade("an unknown protocol", "Connection: Upgrade\r\nUpgrade: tls/1.0\r\n", hidden, always(403))
	upgrade("two protocols", "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n", hidden, always(403))
	upgrade("connect by upgrade", "Connection: Upgrade\r\nUpgrade: connect-udp\r\n", hidden, always(404))

	line := func(name, raw string, s sent, e map[Profile]own) {
		b.raw(name, Case{Raw: []byte(raw), KeyID: k.ID, sent: s, envoy: e})
	}
	line("two spaces in the request line", "GET  /v1/chat HTTP/1.1\r\n"+host+credential+end, open, nil)
	line("a request line in the target", "GET /v1/chat HTTP/1.1 /v1/members HTTP/1.1\r\n"+host+credential+end, sent{}, always(400))
	line("tabs in the request line", "GET\t/v1/chat\tHTTP/1.1\r\n"+host+credential+end, open, nil)
	line("a space in the target", "GET /v1/chat /../members HTTP/1.1\r\n"+host+credential+end, sent{}, always(400))
	line("HTTP/1.0", "GET /v1/chat HTTP/1.0\r\n"+host+credential+end, sent{}, always(426))
	line("HTTP/0.9", "GET /v1/chat\r\n", sent{}, always(426))
	line("HTTP/1.2", "GET /v1/chat HTTP/1.2\r\n"+host+credential+end, sent{}, always(426))
	line("HTTP/2.0 as a version", "GET /v1/chat HTTP/2.0\r\n"+host+credential+end, sent{}, always(426))
	line("lower case version", "GET /v1/chat http/1.1\r\n"+host+credential+end, sent{}, always(400))
	line("header line without a colon", "GET /v1/chat HTTP/1.1\r\n"+host+credential+"X\r\n"+end, sent{}, always(400))
	line("header line that is a request", "GET /v1/chat HTTP/1.1\r\n"+host+credential+"GET /v1/members HTTP/1.1\r\n"+end, sent{}, always(400))
}

func transferEnvoy(value string) map[Profile]own {
	if value == "cHuNkEd\x0b" {
		return always(400)
	}
	return always(501)
}

func hexLen(s string) string { return strconv.FormatInt(int64(len(s)), 16) }
