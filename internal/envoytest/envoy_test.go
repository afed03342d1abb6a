package envoytest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/latchkey/latchkey/internal/envoytest"
)

// world is one Envoy with a listener per profile, what it asks and what is behind it.
type world struct {
	envoy    *envoytest.Envoy
	upstream *envoytest.Upstream
	authz    *authz
}

var profiles = []envoytest.Profile{envoytest.Plain, envoytest.Hardened}

func newWorld(t *testing.T) world {
	t.Helper()
	socket := newSocket(t)
	a, _ := serveAuthz(t, socket)
	u := envoytest.RunUpstream(t)
	var listeners []envoytest.Listener
	for _, p := range profiles {
		listeners = append(listeners, envoytest.Listener{
			Profile:    p,
			Extensions: map[string]string{"policy": "kodey", "listener": string(p)},
			Routes: []envoytest.Route{
				{Domain: "api.example", Prefix: "/v2", Extensions: map[string]string{"policy": "kodey-v2"}},
			},
		})
	}
	e := envoytest.Run(t, envoytest.Config{
		AuthzSocket: socket, Upstream: u.Addr(), GRPCUpstream: u.GRPCAddr(),
		Listeners: listeners, PolicyHeaders: []string{"x-api-key", "X-Team-Id"},
		CheckTimeout: 10 * time.Second, UnhealthyThreshold: 30, // the machine may be busy
	})
	// The first health check may have had no answer in its second.
	for deadline := time.Now().Add(patience); ; {
		n, err := e.Healthy(t.Context(), "latchkey")
		if err == nil && n == 1 {
			return world{authz: a, upstream: u, envoy: e}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d authorization servers are healthy, %v", n, err)
		}
	}
}

func (w world) addr(p envoytest.Profile) string { return w.envoy.Addr(string(p)) }

// get renders a request for a path with a token, a case, and more header lines.
func get(path, token, id string, more ...envoytest.Field) []byte {
	fields := []envoytest.Field{{Name: "Host", Value: "api.example"}, {Name: "Authorization", Value: "Bearer " + token}, {Name: "x-case", Value: id}}
	return envoytest.Request("GET", path, append(fields, more...), nil)
}

func h1(t *testing.T, addr string, raw []byte) envoytest.Response {
	t.Helper()
	resp, err := envoytest.H1(t.Context(), addr, raw)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// only returns the single record of a case; a second request upstream is a failure.
func (w world) only(t *testing.T, id string) envoytest.Record {
	t.Helper()
	recs := w.upstream.Take(id)
	if len(recs) != 1 {
		t.Fatalf("%d requests reached the upstream for case %q, want 1: %+v", len(recs), id, recs)
	}
	return recs[0]
}

func TestThroughEnvoy(t *testing.T) {
	w := newWorld(t)
	steps := []struct {
		name string
		run  func(*testing.T, world, envoytest.Profile)
	}{
		{"allow", testAllow},
		{"deny", testDeny},
		{"headers", testHeaders},
		{"head", testHead},
		{"raw path over HTTP/2", testH2RawPath},
		{"HTTP/2 endings", testH2Endings},
		{"gRPC", testGRPC},
		{"gRPC-Web", testGRPCWeb},
		{"WebSocket", testWebSocket},
		{"access log", testAccessLog},
		{"context extensions", testExtensions},
		{"stats", testStats},
	}
	for _, p := range profiles {
		for _, s := range steps {
			t.Run(string(p)+"/"+s.name, func(t *testing.T) { s.run(t, w, p) })
		}
	}
	t.Run("many", func(t *testing.T) { testMany(t, w) })
}

func testAllow(t *testing.T, w world, p envoytest.Profile) {
	resp := h1(t, w.addr(p), get("/v1/chat?q=1", "allow", "a1"))
	if resp.Status != 200 || resp.Ending != envoytest.Answered {
		t.Fatalf("got %+v", resp)
	}
	var echo envoytest.Echo
	if err := json.Unmarshal(resp.Body, &echo); err != nil {
		t.Fatal(err)
	}
	rec := w.only(t, "a1")
	if rec.Line != "GET /v1/chat?q=1 HTTP/1.1" || rec.Path != echo.Path || rec.Host != "api.example" {
		t.Errorf("record %+v, echo %+v", rec, echo)
	}

	body := strings.Repeat("x", 70_000)
	post := envoytest.Request("POST", "/v1/chat", []envoytest.Field{
		{Name: "host", Value: "api.example"},
		{Name: "authorization", Value: "Bearer allow"},
		{Name: "x-case", Value: "a2"},
		{Name: "transfer-encoding", Value: "chunked"},
	}, fmt.Appendf(nil, "%x\r\n%s\r\n0\r\n\r\n", len(body), body))
	if resp := h1(t, w.addr(p), post); resp.Status != 200 {
		t.Fatalf("got %+v", resp)
	}
	if rec := w.only(t, "a2"); rec.Method != "POST" || rec.BodyBytes != int64(len(body)) || len(rec.Body) != 64<<10 {
		t.Errorf("%s with %d bytes, %d kept", rec.Method, rec.BodyBytes, len(rec.Body))
	}
}

func testDeny(t *testing.T, w world, p envoytest.Profile) {
	before := w.upstream.Count()
	for token, want := range map[string]int{"401": 401, "403": 403, "nonsense": 401} {
		resp := h1(t, w.addr(p), get("/v1/chat", token, "d"))
		if resp.Status != want || string(resp.Body) != `{"denied":true}` || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("token %s: got %+v, want %d", token, resp, want)
		}
	}
	// A second request in the same write is a request of its own.
	two := append(get("/v1/chat", "401", "d"), get("/v1/chat", "allow", "d2")...)
	both, err := envoytest.H1Each(t.Context(), w.addr(p), two, 2)
	if err != nil || both[0].Status != 401 || both[1].Status != 200 {
		t.Errorf("pipelined: %+v, %v", both, err)
	}
	w.only(t, "d2")
	if recs := w.upstream.Take("d"); len(recs) != 0 || w.upstream.Count() != before+1 {
		t.Errorf("denied requests reached the upstream: %+v", recs)
	}
}

func testHeaders(t *testing.T, w world, p envoytest.Profile) {
	raw := get("/v1/chat", "allow", "h1",
		envoytest.Field{Name: "X-Latchkey-Key-Id", Value: "spoofed"}, envoytest.Field{Name: "x-latchkey-key-id", Value: "again"},
		envoytest.Field{Name: "x-latchkey-role", Value: "owner"}, envoytest.Field{Name: "x-api-key", Value: "k"},
		envoytest.Field{Name: "x-unlisted", Value: "kept"})
	w.authz.takeChecks()
	if resp := h1(t, w.addr(p), raw); resp.Status != 200 {
		t.Fatalf("got %+v", resp)
	}
	rec := w.only(t, "h1")
	for name, want := range map[string][]string{
		"authorization": nil, "x-latchkey-role": nil, "x-api-key": nil,
		"x-latchkey-key-id": {"key_1"}, "x-unlisted": {"kept"},
	} {
		if got := rec.Values(name); !slices.Equal(got, want) {
			t.Errorf("upstream got %s %q, want %q", name, got, want)
		}
	}
	check := w.authz.takeChecks()[0]
	wantRaw := p == envoytest.Hardened
	if isRaw := len(check.GetRequest().GetHttp().GetHeaderMap().GetHeaders()) > 0; isRaw != wantRaw {
		t.Errorf("headers sent raw: %v, want %v", isRaw, wantRaw)
	}
	if seen := len(header(check, "x-unlisted")) > 0; seen == wantRaw {
		t.Errorf("the authorization server sees an unlisted header: %v", seen)
	}
	if got := header(check, "x-latchkey-role"); len(got) != 1 {
		t.Errorf("the authorization server sees x-latchkey-role %q, want one", got)
	}
}

func testHead(t *testing.T, w world, p envoytest.Profile) {
	raw := envoytest.Request("HEAD", "/v1/chat", []envoytest.Field{
		{Name: "host", Value: "api.example"}, {Name: "authorization", Value: "Bearer allow"}, {Name: "x-case", Value: "hd"},
	}, nil)
	if resp := h1(t, w.addr(p), raw); resp.Status != 200 || len(resp.Body) != 0 || resp.Ending != envoytest.Answered {
		t.Errorf("got %+v", resp)
	}
	w.only(t, "hd")
}

func testH2RawPath(t *testing.T, w world, p envoytest.Profile) {
	fields := envoytest.RequestFields("POST", "api.example", "/v1/\xff", envoytest.Field{Name: "Authorization", Value: "Bearer allow"}, envoytest.Field{Name: "x-case", Value: "raw"})
	resp, err := envoytest.H2(t.Context(), w.addr(p), fields, []byte("body"))
	if err != nil || resp.Status != 200 {
		t.Fatalf("got %+v, %v", resp, err)
	}
	want := map[envoytest.Profile]string{envoytest.Plain: "/v1/\xff", envoytest.Hardened: "/v1/%FF"}[p]
	if rec := w.only(t, "raw"); rec.Path != want || rec.BodyBytes != 4 {
		t.Errorf("upstream got %q with %d bytes, want %q with 4", rec.Path, rec.BodyBytes, want)
	}
	if resp, err := envoytest.H2(t.Context(), w.addr(p), envoytest.RequestFields("GET", "api.example", "/v1/chat"), nil); err != nil || resp.Status != 401 {
		t.Errorf("no token: got %+v, %v", resp, err)
	}
}

func testH2Endings(t *testing.T, w world, p envoytest.Profile) {
	got, err := envoytest.H2(t.Context(), w.addr(p), envoytest.RequestFields("GET", "api.example", "no-slash"), nil)
	if err != nil || got.Status != 0 {
		t.Fatalf("got %+v, %v", got, err)
	}
	want := map[envoytest.Profile]envoytest.Ending{envoytest.Plain: envoytest.Closed, envoytest.Hardened: envoytest.Reset}[p]
	if got.Ending != want {
		t.Errorf("ending %v (code %d), want %v", got.Ending, got.Code, want)
	}
	long := envoytest.RequestFields("GET", "api.example", "/"+strings.Repeat("x", 70_000))
	if got, err := envoytest.H2(t.Context(), w.addr(p), long, nil); err != nil || got.Ending != envoytest.Reset {
		t.Errorf("70 kB of path: %+v, %v", got, err)
	}
	if resp := h1(t, w.addr(p), []byte("nonsense\r\n\r\n")); resp.Status != 400 {
		t.Errorf("nonsense: %+v", resp)
	}
}

func testGRPC(t *testing.T, w world, p envoytest.Profile) {
	call := func(token string) envoytest.GRPCResponse {
		t.Helper()
		resp, err := envoytest.GRPC(t.Context(), w.addr(p), "api.example", "/pkg.Service/Method",
			[]envoytest.Field{{Name: "authorization", Value: "Bearer " + token}, {Name: "x-case", Value: "g"}}, []byte("hello"))
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	resp := call("allow")
	if resp.Code != codes.OK || string(resp.Body) != "hello" || !slices.Equal(resp.Trailer.Get("echo-x-latchkey-key-id"), []string{"key_1"}) {
		t.Errorf("allow: %+v", resp)
	}
	rec := w.only(t, "g")
	if rec.Protocol != "gRPC" || rec.Path != "/pkg.Service/Method" || rec.Host != "api.example" || rec.BodyBytes != 5 {
		t.Errorf("record %+v", rec)
	}
	if _, ok := rec.Get("authorization"); ok {
		t.Error("the token reached the gRPC upstream")
	}
	for token, want := range map[string]codes.Code{"401": codes.Unauthenticated, "403": codes.PermissionDenied} {
		if resp := call(token); resp.Code != want || resp.Message != `{"denied":true}` {
			t.Errorf("%s: %+v", token, resp)
		}
	}
}

func testGRPCWeb(t *testing.T, w world, p envoytest.Profile) {
	for token, want := range map[string]int{"allow": 200, "401": 401} {
		resp, err := envoytest.GRPCWeb(t.Context(), w.addr(p), "api.example", "/pkg.Service/Method",
			[]envoytest.Field{{Name: "authorization", Value: "Bearer " + token}, {Name: "x-case", Value: "w"}}, []byte("hello"))
		if err != nil || resp.Status != want {
			t.Errorf("%s: %+v, %v", token, resp, err)
		}
	}
	if rec := w.only(t, "w"); string(rec.Body) != "\x00\x00\x00\x00\x05hello" {
		t.Errorf("body %q", rec.Body)
	}
}

func testWebSocket(t *testing.T, w world, p envoytest.Profile) {
	for token, want := range map[string]int{"allow": 101, "403": 403} {
		resp, err := envoytest.WebSocket(t.Context(), w.addr(p), "api.example", "/v1/socket",
			[]envoytest.Field{{Name: "authorization", Value: "Bearer " + token}, {Name: "x-case", Value: "ws"}}, "ping")
		if err != nil || resp.Status != want || want == 101 && string(resp.Body) != "ping" {
			t.Errorf("%s: %+v, %v", token, resp, err)
		}
	}
	w.only(t, "ws")
}

func testAccessLog(t *testing.T, w world, p envoytest.Profile) {
	id := "log-" + string(p)
	h1(t, w.addr(p), get("/v1/chat?key=secret", "403", id))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	entries, err := w.envoy.AccessLog(ctx, id)
	if err != nil || len(entries) != 1 {
		t.Fatalf("got %+v, %v", entries, err)
	}
	got := entries[0]
	if got.Listener != string(p) || got.Status != 403 || got.Flags != "UAEX" || got.Path != "/v1/chat" || got.Details != "ext_authz_denied" ||
		got.Metadata["reason"] != "TOKEN_403" || got.Metadata["revision"] != 7.0 {
		t.Errorf("got %+v", got)
	}
}

func testExtensions(t *testing.T, w world, p envoytest.Profile) {
	for path, want := range map[string]string{"/v1/chat": "kodey", "/v2/chat": "kodey-v2"} {
		w.authz.takeChecks()
		h1(t, w.addr(p), get(path, "allow", "e"))
		w.only(t, "e")
		got := w.authz.takeChecks()[0].GetContextExtensions()
		if got["policy"] != want || got["listener"] != string(p) {
			t.Errorf("%s: got %v, want policy %s and listener %s", path, got, want, p)
		}
	}
}

func testStats(t *testing.T, w world, p envoytest.Profile) {
	name := "http." + string(p) + ".ext_authz.denied"
	before, err := w.envoy.Stat(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	h1(t, w.addr(p), get("/v1/chat", "401", "s"))
	if after, err := w.envoy.Stat(t.Context(), name); err != nil || after != before+1 {
		t.Errorf("%s went from %d to %d, %v", name, before, after, err)
	}
	if _, err := w.envoy.Stat(t.Context(), "no.such"); err == nil {
		t.Error("a statistic that does not exist has a value")
	}
}
