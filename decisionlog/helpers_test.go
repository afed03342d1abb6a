package decisionlog

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/authz"
	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/internal/strictyaml"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

// A disk that is busy loses no line of a test.
func init() { flushTime = time.Minute }

var noon = time.Date(2026, 11, 22, 12, 0, 0, 123456789, time.UTC)

// secret is what the tokens of the tests end with.
const secret = "aBcDeFgHiJkLmNoPqRsTuVwXyZ012345"

// token is that of the one key there is.
const token = "sk_live_" + secret

// keys knows one key.
type keys struct{ facts *key.Facts }

func (k keys) Lookup(d key.Digest, to *key.Facts) bool {
	if d != key.NewToken(token).Digest() {
		return false
	}
	*to = *k.facts
	return true
}

// server is a server of checks with the policy that authz is tested with.
func server(tb testing.TB, observers ...authz.Observer) *authz.Server {
	tb.Helper()
	text, err := os.ReadFile("../authz/testdata/policy.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	var doc policyv1.Policy
	if _, err := strictyaml.Decode("policy.yaml", text, &doc); err != nil {
		tb.Fatal(err)
	}
	p, err := policy.Compile(&doc)
	if err != nil {
		tb.Fatal(err)
	}
	policies, err := policy.NewPolicies(p)
	if err != nil {
		tb.Fatal(err)
	}
	record := &key.Record{ID: "key_1", Policy: "acme", Type: "secret", Environment: "live", Tenant: "team:t_1", Creator: "user:eve", Scopes: []string{"read", "write"}}
	record.Secrets = []key.Secret{{Digest: key.NewToken(token).Digest()}}
	view := authz.View{Policies: policies, Keys: keys{record.Facts()}, Revision: 7, Directory: directory.Maps{
		Tenants:    map[string]*directory.Tenant{"team:t_1": {ID: "team:t_1"}, "team:t_2": {ID: "team:t_2"}},
		Principals: map[string]*directory.Principal{"user:eve": {ID: "user:eve", Memberships: map[string]string{"team:t_1": "guest"}}},
	}}
	now := noon
	return authz.NewServer(authz.Options{
		Source: func() authz.View { return view }, Log: slog.New(slog.DiscardHandler), Observers: observers,
		Now: func() time.Time { now = now.Add(17 * time.Microsecond); return now },
	})
}

// request is a check of a request; headers are `name: value`.
func request(method, host, path string, headers ...string) *authv3.CheckRequest {
	h := &authv3.AttributeContext_HttpRequest{Method: method, Host: host, Path: path, HeaderMap: &corev3.HeaderMap{}}
	h.HeaderMap.Headers = append(h.HeaderMap.Headers, &corev3.HeaderValue{Key: ":path", RawValue: []byte(path)})
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		h.HeaderMap.Headers = append(h.HeaderMap.Headers, &corev3.HeaderValue{Key: name, RawValue: []byte(value)})
	}
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{Http: h}}}
}

// collector keeps the line of each check.
type collector struct{ lines []string }

func (c *collector) Observe(_ context.Context, o *authz.Observation) {
	c.lines = append(c.lines, string(appendLine(nil, o)))
}

// lineOf is the line of a check.
func lineOf(tb testing.TB, check *authv3.CheckRequest) string {
	tb.Helper()
	c := &collector{}
	if _, err := server(tb, c).Check(context.Background(), check); err != nil {
		tb.Fatal(err)
	}
	return c.lines[0]
}

// fields are the members of a line, which is one JSON object and a line feed.
func fields(tb testing.TB, line string) map[string]any {
	tb.Helper()
	if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "}\n") {
		tb.Fatalf("%q isn't one line", line)
	}
	var all map[string]any
	if err := json.Unmarshal([]byte(line), &all); err != nil {
		tb.Fatalf("%q: %v", line, err)
	}
	return all
}

// count is what a counter stands at.
func count(tb testing.TB, c prometheus.Counter) float64 {
	tb.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	return families[0].GetMetric()[0].GetCounter().GetValue()
}
