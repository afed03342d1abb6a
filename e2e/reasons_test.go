package e2e

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/latchkey/latchkey/authz"
	"github.com/latchkey/latchkey/internal/envoytest"
	"github.com/latchkey/latchkey/internal/oracle"
	"github.com/latchkey/latchkey/policy"
)

// openPolicy declares what none of the four examples does: a public endpoint,
// preflights, and an endpoint that asks for a permission.
const openPolicy = `
name: open
hosts: [api.open.example]
tenants: {org: {}}
permissions: [agent.delete]
scopes: [things]
key_types:
  key: {format: "op_{secret:32}", owner: org, scopes: [things]}
endpoints:
  Status: {public: true, routes: ["* /status/check"]}
  Things: {scopes: [things], routes: ["* /v1/things"]}
preflight: true
`

// reasonRow is one reason and a request that is answered with it.
type reasonRow struct {
	reason policy.Reason
	host   string
	path   string // of the form /service/method, so that a gRPC client can send it
	token  string
	fields []envoytest.Field
	method string // POST where empty
}

func reasonRows(w *oracle.World) []reasonRow {
	const kodey, cuneiform, shortkit, open = "api.kodey.example", "api.cuneiform.example", "api.shortkit.dev", "api.open.example"
	token := func(name string) string { return w.Find(name).Token }
	header := func(name, value string) []envoytest.Field { return []envoytest.Field{{Name: name, Value: value}} }
	return []reasonRow{
		{reason: policy.HostUnknown, host: "nobody.example", path: "/v1/chat", token: token("kodey-sk")},
		{reason: policy.Public, host: open, path: "/status/check"},
		{reason: policy.Preflight, host: open, path: "/v1/things", method: "OPTIONS", fields: []envoytest.Field{{Name: "origin", Value: "https://app.example"}, {Name: "access-control-request-method", Value: "POST"}}},
		{reason: policy.KeyMissing, host: kodey, path: "/v1/chat"},
		{reason: policy.KeyAmbiguous, host: kodey, path: "/v1/chat", token: token("kodey-sk") + "," + token("kodey-sk")},
		{reason: policy.KeyMalformed, host: kodey, path: "/v1/chat", token: "sk_live_short"},
		{reason: policy.KeyUnknown, host: kodey, path: "/v1/chat", token: oracle.Mint("nobody", "kodey", "secret", "live")},
		{reason: policy.KeyRevoked, host: kodey, path: "/v1/chat", token: token("kodey-sk-revoked")},
		{reason: policy.KeyExpired, host: kodey, path: "/v1/chat", token: token("kodey-sk-expired")},
		{reason: policy.KeyDisabled, host: kodey, path: "/v1/chat", token: token("kodey-sk-disabled")},
		{reason: policy.PrincipalGone, host: kodey, path: "/v1/chat", token: token("kodey-usk-barred")},
		{reason: policy.TenantSuspended, host: kodey, path: "/v1/chat", token: token("kodey-sk-suspended")},
		{reason: policy.PathAmbiguous, host: kodey, path: "/v1/chat;x", token: token("kodey-sk")},
		{reason: policy.EndpointUnknown, host: kodey, path: "/v1/nothing", token: token("kodey-sk")},
		{reason: policy.EnvironmentMismatch, host: shortkit, path: "/v1/content", token: token("sho-sk-test")},
		{reason: policy.KeyTypeNotAllowed, host: kodey, path: "/v1/agents", token: token("kodey-pk")},
		{reason: policy.ScopeMissing, host: cuneiform, path: "/v1/documents", token: token("cun-kr")},
		{reason: policy.PermissionMissing, host: cuneiform, path: "/v1/agents/1/restore", token: token("cun-by-keeper")},
		{reason: policy.TenantMismatch, host: kodey, path: "/v1/chat", token: token("kodey-sk"), fields: header("x-team-id", "t_2")},
		{reason: policy.Allowed, host: kodey, path: "/v1/chat", token: token("kodey-sk")},
	}
}

// TestEveryReason shows each reason to an HTTP, a gRPC and a gRPC-Web client,
// in both profiles.
func TestEveryReason(t *testing.T) {
	w := oracle.Fixture()
	file := filepath.Join(t.TempDir(), "open.yaml")
	if err := os.WriteFile(file, []byte(openPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, append(examplePolicies(t), file)...)
	s.load(t, w)
	m := startMesh(t, s.socket())
	seen := map[policy.Reason]bool{}
	var first401 envoytest.Response
	for _, row := range reasonRows(w) {
		seen[row.reason] = true
		for _, profile := range profiles {
			resp := m.seenByHTTP(t, profile, row)
			m.seenByGRPC(t, profile, row)
			m.seenByGRPCWeb(t, profile, row)
			if row.reason.Status() == 401 && profile == envoytest.Plain {
				if first401.Status == 0 {
					first401 = resp
				}
				sameRefusal(t, row.reason, first401, resp)
			}
		}
	}
	for _, r := range policy.Reasons() {
		if !seen[r] && r != policy.NotReady && r != policy.ReplicaStale {
			t.Errorf("no client saw %s", r)
		}
	}
}

// sameRefusal compares two 401s byte for byte, but for the challenge.
func sameRefusal(t *testing.T, r policy.Reason, a, b envoytest.Response) {
	t.Helper()
	strip := func(h http.Header) http.Header {
		h = maps.Clone(h)
		h.Del("www-authenticate")
		h.Del("date")
		return h
	}
	if string(a.Body) != string(b.Body) || fmt.Sprint(strip(a.Header)) != fmt.Sprint(strip(b.Header)) {
		t.Errorf("%s can be told from another 401:\n%v %s\n%v %s", r, strip(a.Header), a.Body, strip(b.Header), b.Body)
	}
}

func (r reasonRow) httpMethod() string {
	if r.method == "" {
		return "POST"
	}
	return r.method
}

func (r reasonRow) headers() []envoytest.Field {
	fields := []envoytest.Field{{Name: "x-request-id", Value: "req-1"}}
	if r.token != "" {
		fields = append(fields, envoytest.Field{Name: "authorization", Value: "Bearer " + r.token})
	}
	return append(fields, r.fields...)
}

func (m *mesh) seenByHTTP(t *testing.T, profile envoytest.Profile, row reasonRow) envoytest.Response {
	t.Helper()
	fields := append([]envoytest.Field{{Name: "Host", Value: row.host}, {Name: "Connection", Value: "close"}, {Name: "Content-Length", Value: "0"}}, row.headers()...)
	resp, err := envoytest.H1(t.Context(), m.envoy.Addr(string(profile)), envoytest.Request(row.httpMethod(), row.path, fields, nil))
	if err != nil {
		t.Fatal(err)
	}
	checkRefusal(t, fmt.Sprintf("%s %s over HTTP", profile, row.reason), row.reason, resp)
	return resp
}

// checkRefusal checks status, headers and body of an answer to a reason.
func checkRefusal(t *testing.T, place string, r policy.Reason, resp envoytest.Response) {
	t.Helper()
	if resp.Status != r.Status() {
		t.Errorf("%s: status %d, want %d", place, resp.Status, r.Status())
	}
	if r.Allows() {
		return
	}
	challenge := ""
	switch {
	case r == policy.KeyMissing:
		challenge = `Bearer realm="kodey"`
	case r.Status() == 401:
		challenge = `Bearer realm="kodey", error="invalid_token"`
	}
	if got := resp.Header.Get("www-authenticate"); got != challenge {
		t.Errorf("%s: challenge %q, want %q", place, got, challenge)
	}
	if got := resp.Header.Get("cache-control"); got != "no-store" {
		t.Errorf("%s: cache-control %q", place, got)
	}
	if retry := resp.Header.Get("retry-after"); (retry != "") != (r.Status() == 503) {
		t.Errorf("%s: retry-after %q", place, retry)
	}
	if kind := resp.Header.Get("content-type"); !strings.HasPrefix(kind, "application/") || !strings.HasSuffix(kind, "json") || len(resp.Body) == 0 {
		t.Errorf("%s: body %q of type %q", place, resp.Body, kind)
	}
}

func (m *mesh) seenByGRPC(t *testing.T, profile envoytest.Profile, row reasonRow) {
	t.Helper()
	if row.method != "" {
		return // gRPC is POST only
	}
	got, err := envoytest.GRPC(t.Context(), m.envoy.Addr(string(profile)), row.host, row.path, row.headers(), []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[int]codes.Code{200: codes.OK, 401: codes.Unauthenticated, 403: codes.PermissionDenied, 503: codes.Unavailable}[row.reason.Status()]
	if got.Code != want {
		t.Errorf("%s %s over gRPC: code %s (%s), want %s", profile, row.reason, got.Code, got.Message, want)
	}
	if want != codes.OK && !strings.Contains(got.Message, "{") {
		t.Errorf("%s %s over gRPC: message %q", profile, row.reason, got.Message)
	}
}

func (m *mesh) seenByGRPCWeb(t *testing.T, profile envoytest.Profile, row reasonRow) {
	t.Helper()
	if row.method != "" {
		return
	}
	resp, err := envoytest.GRPCWeb(t.Context(), m.envoy.Addr(string(profile)), row.host, row.path, row.headers(), []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	checkRefusal(t, fmt.Sprintf("%s %s over gRPC-Web", profile, row.reason), row.reason, resp)
}

// TestNotReady shows what clients see of a store without a revision: an
// outage, also where the Envoy would let requests pass when asking fails.
func TestNotReady(t *testing.T) {
	check := authz.NewServer(authz.Options{Source: func() authz.View { return authz.View{} }})
	m := startMesh(t, serveCheck(t, check))
	row := reasonRow{reason: policy.NotReady, host: "api.kodey.example", path: "/v1/chat", token: "sk_live_x"}
	for _, profile := range profiles {
		m.seenByHTTP(t, profile, row)
		m.seenByGRPC(t, profile, row)
		m.seenByGRPCWeb(t, profile, row)
	}
}

// serveCheck serves a Check of the test's own on a Unix socket, healthy.
func serveCheck(t *testing.T, check authv3.AuthorizationServer, options ...grpc.ServerOption) string {
	t.Helper()
	dir, err := envoytest.SocketDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "authz.sock")
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	authv3.RegisterAuthorizationServer(server, check)
	healthy := health.NewServer()
	healthy.SetServingStatus("envoy.service.auth.v3.Authorization", healthv1.HealthCheckResponse_SERVING)
	healthv1.RegisterHealthServer(server, healthy)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	return socket
}
