package corpus

import (
	"strconv"
	"strings"

	"github.com/latchkey/latchkey/internal/oracle"
)

// limits are sizes on both sides of each bound, the check's own and Envoy's.
func limits(b *builder) {
	const key = "kodey-pk"
	tooLarge := always(431)
	letters := func(n int) string { return strings.Repeat("a", n) }
	const stem = "/v1/chat/"
	for _, c := range []struct {
		name, path string
		envoy      map[Profile]own
	}{
		{"path of 8191", stem + letters(8191-len(stem)), nil},
		{"path of 8192", stem + letters(8192-len(stem)), nil},
		{"path of 8193", stem + letters(8193-len(stem)), nil},
		{"path of 20000", stem + letters(20000), nil},
		{"path of 58000", stem + letters(58000), nil},
		{"path of 70000", stem + letters(70000), tooLarge},
		{"path of 200000", stem + letters(200000), tooLarge},
		{"255 segments", "/v1/chat" + strings.Repeat("/a", 253), nil},
		{"256 segments", "/v1/chat" + strings.Repeat("/a", 254), nil},
		{"257 segments", "/v1/chat" + strings.Repeat("/a", 255), nil},
		{"4000 segments", "/v1/chat" + strings.Repeat("/a", 4000), nil},
		{"4000 slashes", "/v1/chat" + strings.Repeat("/", 4000), nil},
		{"2000 dot segments", "/v1/chat" + strings.Repeat("/..", 2000), nil},
		{"deep and back", "/v1/chat" + strings.Repeat("/a", 200) + strings.Repeat("/..", 201) + "/members", nil},
		{"query of 20000", "/v1/chat?" + letters(20000), nil},
		{"query of a thousand parameters", "/v1/chat?" + strings.Repeat("a=b&", 1000), nil},
	} {
		b.both(c.name, request{line: "GET " + c.path, key: key, envoy: c.envoy})
	}
	for _, n := range []int{40, 70, 95, 150, 1000} {
		var e map[Profile]own
		switch {
		case n > 100:
			e = tooLarge
		case n > 90: // allowed, and then too many with what the check adds
			e = always(500)
		}
		b.both("headers beside "+strconv.Itoa(n), request{line: "GET /v1/chat", key: key, headers: manyNumbered(n), envoy: e})
	}
	for _, n := range []int{8 << 10, 50 << 10} {
		b.both("a header of "+strconv.Itoa(n), request{line: "GET /v1/chat", key: key, headers: header("x-filler", letters(n))})
	}
	b.both("a header of 70000", request{line: "GET /v1/chat", key: key, headers: header("x-filler", letters(70000)), envoy: tooLarge})
	for _, n := range []int{1, 21, 255, 256, 257, 1024, 4096, 50000} {
		b.both("a token of "+strconv.Itoa(n), request{line: "GET /v1/chat", key: key, auth: []string{"Bearer " + letters(n)}})
		b.h1("a token of the right prefix and "+strconv.Itoa(n), request{line: "GET /v1/chat", key: key, auth: []string{"Bearer pk_live_" + letters(n)}})
	}
	b.both("a team of 50000", request{line: "GET /v1/chat", key: key, headers: header("x-team-id", letters(50000))})
	b.both("x-team-id forty times", request{line: "GET /v1/chat", key: key, headers: repeated("x-team-id", "t_1", 40)})
	b.both("authorization forty times", request{line: "GET /v1/chat", key: key, auth: []string{}, headers: repeated("authorization", "Bearer "+b.w.Find(key).Token, 40)})
	b.both("spoofed forty times", request{line: "GET /v1/chat", key: key, headers: repeated("x-latchkey-role", "evil", 40)})
	b.both("forty kinds of spoofed headers", request{line: "GET /v1/chat", key: key, headers: spoofedKinds(40)})
	b.h1("a request id of 50000", request{line: "GET /v1/feed", key: "sho-pk-live", headers: header("X-Request-Id", letters(50000))})
	b.h1("a request id with quotes, denied", request{line: "GET /v1/analytics", key: "sho-pk-live", headers: header("X-Request-Id", `"},"x":"`)})
	b.h1("a body of 100000", request{line: "POST /v1/chat", key: key, body: letters(100000)})
	b.h1("a body of 100000, denied", request{line: "POST /v1/members", key: key, body: letters(100000)})
}

func repeated(name, value string, n int) []oracle.Header {
	var hs []oracle.Header
	for range n {
		hs = append(hs, oracle.Header{Name: name, Value: value})
	}
	return hs
}

func manyNumbered(n int) []oracle.Header {
	var hs []oracle.Header
	for i := range n {
		hs = append(hs, oracle.Header{Name: "x-filler-" + strconv.Itoa(i), Value: "y"})
	}
	return hs
}

func spoofedKinds(n int) []oracle.Header {
	var hs []oracle.Header
	for i := range n {
		hs = append(hs, oracle.Header{Name: "x-latchkey-kind-" + strconv.Itoa(i), Value: "evil"})
	}
	return hs
}
