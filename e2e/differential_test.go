package e2e

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/latchkey/latchkey/authz"
	"github.com/latchkey/latchkey/e2e/world"
	"github.com/latchkey/latchkey/internal/oracle"
	"github.com/latchkey/latchkey/policy"
)

// fixture is the oracle's world and the product's view of it.
type fixture struct {
	oracle *oracle.World
	view   authz.View
	server *authz.Server
}

func newFixture(tb testing.TB) *fixture {
	tb.Helper()
	root, err := world.Root()
	if err != nil {
		tb.Fatal(err)
	}
	policies, err := world.Policies(filepath.Join(root, "examples"))
	if err != nil {
		tb.Fatal(err)
	}
	w := oracle.Fixture()
	f := &fixture{oracle: w, view: world.View(w, policies)}
	f.server = authz.NewServer(authz.Options{
		Source: func() authz.View { return f.view },
		Now:    func() time.Time { return w.Now },
	})
	return f
}

// answer is what the product said, in the oracle's words.
type answer struct {
	reason   string
	status   int
	set      map[string]string
	remove   []string
	metadata map[string]any
}

// ask puts the request to Check as Envoy would.
func (f *fixture) ask(tb testing.TB, r oracle.Request) answer {
	tb.Helper()
	got, err := f.server.Check(context.Background(), checkRequest(r))
	if err != nil {
		tb.Fatalf("Check: %v", err)
	}
	a := answer{metadata: got.GetDynamicMetadata().AsMap(), status: 200, set: map[string]string{}}
	a.reason = fmt.Sprint(a.metadata["reason"])
	if denied := got.GetDeniedResponse(); denied != nil {
		a.status = int(denied.GetStatus().GetCode())
		for _, h := range denied.GetHeaders() {
			a.set[h.GetHeader().GetKey()] = h.GetHeader().GetValue()
		}
		return a
	}
	ok := got.GetOkResponse()
	for _, h := range ok.GetHeaders() {
		a.set[h.GetHeader().GetKey()] = h.GetHeader().GetValue()
	}
	a.remove = ok.GetHeadersToRemove()
	return a
}

func checkRequest(r oracle.Request) *authv3.CheckRequest {
	http := &authv3.AttributeContext_HttpRequest{Method: r.Method, Host: r.Host, Path: r.Path}
	if r.RawPath != nil {
		list := []*corev3.HeaderValue{{Key: ":path", RawValue: []byte(*r.RawPath)}}
		for _, h := range r.Headers {
			list = append(list, &corev3.HeaderValue{Key: h.Name, RawValue: []byte(h.Value)})
		}
		http.HeaderMap = &corev3.HeaderMap{Headers: list}
	} else {
		http.Headers = map[string]string{":path": r.Path}
		for _, h := range r.Headers {
			if old, ok := http.Headers[h.Name]; ok {
				http.Headers[h.Name] = old + "," + h.Value
			} else {
				http.Headers[h.Name] = h.Value
			}
		}
	}
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Request: &authv3.AttributeContext_Request{Http: http}, ContextExtensions: r.Extensions,
	}}
}

// compare returns how the product's answer differs from the oracle's.
func compare(want oracle.Decision, got answer) string {
	if want.Reason != got.reason || want.Status != got.status {
		return fmt.Sprintf("oracle says %s (%d), Check says %s (%d)", want.Reason, want.Status, got.reason, got.status)
	}
	if !want.Allow {
		if want.WWWAuthenticate != got.set["www-authenticate"] {
			return fmt.Sprintf("oracle challenges with %q, Check with %q", want.WWWAuthenticate, got.set["www-authenticate"])
		}
		return ""
	}
	expected := maps.Clone(want.Identity)
	maps.Copy(expected, want.TenantHeaders)
	actual := maps.Clone(got.set)
	// The oracle doesn't fix what a policy calls its endpoints and scopes.
	for _, name := range []string{"x-latchkey-endpoint", "x-latchkey-scopes"} {
		if _, fixed := expected[name]; !fixed {
			delete(actual, name)
		}
	}
	if !maps.Equal(expected, actual) {
		return fmt.Sprintf("oracle sets %v, Check sets %v", expected, actual)
	}
	for _, name := range want.Remove {
		if !slices.Contains(got.remove, name) {
			return fmt.Sprintf("oracle removes %q, Check removes %v", name, got.remove)
		}
	}
	for name := range got.set {
		if slices.Contains(got.remove, name) {
			return fmt.Sprintf("%q is both set and removed", name)
		}
	}
	return ""
}

// generator makes requests that are mostly near the edge of something.
type generator struct {
	*rand.Rand
	w *oracle.World
}

var (
	hosts = []string{
		"api.kodey.example", "api.cuneiform.example", "apix.spotzee.com", "api.shortkit.dev", "api.staging.shortkit.dev",
		"API.kodey.example", "api.kodey.example:443", "api.kodey.example:443:1", "api.kodey.example.", "api.kodey.example:", "x@api.kodey.example",
		"api.kodey.example,api.shortkit.dev", "", "127.0.0.1", "other.example", "api.shortkit.dev:8080", ":80", "[::1]:80", "api.kodey.example:123456",
	}
	methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "GET", "POST", "GET", "POST", "DELETE", "PUT", "CONNECT", "TRACE", "get", "FOO", ""}
	words   = []string{
		"v1", "api", "client", "admin", "chat", "agents", "workflows", "mcp", "files", "webhooks", "teams", "members", "api-keys", "billing",
		"team-settings", "export", "import", "documents", "folders", "tags", "search", "config", "restore", "query", "projects", "smtp", "send",
		"campaigns", "publish", "settings", "keys", "identify", "events", "devices", "content", "feed", "analytics", "org", "developer-api",
		"t_1", "t_2", "p_1", "p_2", "x", "42", "..", ".", "...", "%2e%2e", "a%2fb", ";", "a;b", "a!b", "é", "A", "", "*", "**", "{id}", "a.b", "~", "$&'()*+,=:@",
	}
	bases = map[string][]string{
		"kodey": {
			"/v1/chat", "/v1/agents", "/v1/workflows/1", "/v1/mcp", "/v1/files/1/2", "/v1/webhooks", "/v1/teams", "/v1/teams/t_1", "/v1/teams/t_2/x",
			"/v1/members", "/v1/billing", "/v1/api-keys/1", "/v1/team-settings", "/v1/export", "/v1/import/x",
		},
		"cuneiform": {
			"/v1/documents", "/v1/documents/search", "/v1/documents/1", "/v1/folders/1", "/v1/tags", "/v1/agents", "/v1/agents/1", "/v1/agents/1/config",
			"/v1/agents/1/restore", "/v1/agents/1/query", "/v1/api-keys", "/org/developer-api",
		},
		"spotzee": {
			"/api/client/identify", "/api/client/events", "/api/client/x/y", "/api/projects/p_1", "/api/projects/p_1/x", "/api/projects/p_1/smtp/send",
			"/api/projects/p_1/settings", "/api/projects/p_1/keys/1", "/api/projects/p_1/campaigns/1/publish", "/api/admin/x", "/api/admin/projects",
			"/api/admin/projects/p_1", "/api/admin/projects/p_1/x", "/api/admin/billing", "/api/admin",
		},
		"shortkit": {
			"/v1/content", "/v1/feed", "/v1/feed/1", "/v1/events", "/v1/config", "/v1/config/x", "/v1/analytics", "/v1/webhooks", "/v1/api-keys", "/", "", "/v1",
		},
	}
	schemes  = []string{"bearer ", "BEARER ", "Bearer  ", "Bearer\t", "Basic ", "", " Bearer ", "Bearer", "Bearer,", "Token "}
	suffixes = []string{" ", ",", " x", ",Bearer x", "\t", "  y"}
)

func pick[T any](g *generator, list []T) T { return list[g.IntN(len(list))] }

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func (g *generator) request() oracle.Request {
	var r oracle.Request
	k := &g.w.Keys[g.IntN(len(g.w.Keys))]
	if (k.Revoked || k.Disabled || past(k.Expires)) && g.chance(70) {
		k = &g.w.Keys[g.IntN(len(g.w.Keys))] // most of the fixture's keys are dead: that is soon told
	}
	if g.chance(2) {
		return g.deletion()
	}
	r.Host = map[string]string{"kodey": hosts[0], "cuneiform": hosts[1], "spotzee": hosts[2], "shortkit": hosts[3]}[k.Policy]
	if k.Policy == "shortkit" && k.Environment == "test" {
		r.Host = hosts[4]
	}
	if g.chance(12) {
		r.Host = pick(g, hosts)
	}
	r.Method = pick(g, methods)
	r.Path = g.path(k)
	token := k.Token
	if len(k.OldTokens) > 0 && g.chance(50) {
		token = k.OldTokens[0].Token
	}
	g.headers(&r, k, g.mutated(token))
	if g.chance(6) {
		r.Extensions = map[string]string{}
		if g.chance(70) {
			r.Extensions["latchkey.policy"] = pick(g, append([]string{"", "other"}, world.Systems...))
		}
		if g.chance(50) {
			r.Extensions["latchkey.environment"] = pick(g, []string{"live", "test", "", "prod"})
		}
	}
	if g.chance(50) {
		raw := r.Path
		if g.chance(10) {
			at := g.IntN(len(raw) + 1)
			raw = raw[:at] + pick(g, []string{"!", "\xff", "%", "\x00", " "}) + raw[at:]
			r.Path = strings.NewReplacer("\xff", "!").Replace(raw)
		}
		r.Path = strings.ToValidUTF8(r.Path, "!")
		r.RawPath = &raw
	} else {
		r.Path = rendered(r.Path) // without the raw one, that is all that Envoy shows
	}
	return r
}

// deletion asks for what some creators may not do although their keys hold
// the scope, which hardly any other request comes to.
func (g *generator) deletion() oracle.Request {
	var made []*oracle.Key
	for i := range g.w.Keys {
		if k := &g.w.Keys[i]; k.Policy == "cuneiform" && k.Creator != "" {
			made = append(made, k)
		}
	}
	k := pick(g, made)
	return oracle.Request{
		Method: pick(g, []string{"DELETE", "POST"}), Host: hosts[1], Path: pick(g, []string{"/v1/agents/1", "/v1/agents/1/restore"}),
		Headers: []oracle.Header{{Name: "authorization", Value: "Bearer " + k.Token}},
	}
}

func (g *generator) path(k *oracle.Key) string {
	system := k.Policy
	if g.chance(15) {
		system = pick(g, world.Systems)
	}
	path := pick(g, bases[system])
	for g.chance(20) {
		path += "/" + pick(g, words)
	}
	if g.chance(80) {
		own := map[string]string{"team": "t_1", "project": "p_1"}
		for kind, name := range own {
			if rest, ok := strings.CutPrefix(k.Tenant, kind+":"); ok {
				path = strings.Replace(path, name, rest, 1)
			}
		}
	}
	if g.chance(8) && path != "" {
		at := g.IntN(len(path))
		path = path[:at] + string(rune(g.IntN(128))) + path[at:]
	}
	if g.chance(5) {
		path += "?" + pick(g, []string{"", "a=b", "key=" + k.Token, "x-team-id=t_2", "/../..", "a?b"})
	}
	if g.chance(1) {
		path += strings.Repeat("/a", 250+g.IntN(12))
	}
	if g.chance(1) {
		path += "/" + strings.Repeat("a", 8180+g.IntN(24)-len(path))
	}
	return path
}

func (g *generator) mutated(token string) string {
	switch {
	case g.chance(92):
		return token
	case g.chance(50) && token != "":
		b := []byte(token)
		b[g.IntN(len(b))] = byte(32 + g.IntN(95))
		return string(b)
	case g.chance(50):
		return token + pick(g, []string{"x", "_", " ", "=", token, strings.Repeat("a", 300)})
	}
	return strings.TrimPrefix(token, token[:g.IntN(len(token)+1)])
}

func (g *generator) headers(r *oracle.Request, k *oracle.Key, token string) {
	add := func(name, value string) { r.Headers = append(r.Headers, oracle.Header{Name: name, Value: value}) }
	if !g.chance(4) {
		scheme, suffix := "Bearer ", ""
		if g.chance(8) {
			scheme = pick(g, schemes)
		}
		if g.chance(4) {
			suffix = pick(g, suffixes)
		}
		add("authorization", scheme+token+suffix)
	}
	if g.chance(3) {
		add("authorization", pick(g, []string{"", "Bearer " + k.Token, "Basic x"}))
	}
	tenants := []string{"t_1", "t_2", "o_1", "o_2", "", ",", "t_1,t_1", " t_1", "team:t_1", "T_1", "t_9", strings.Repeat("a", 200)}
	for id := range g.w.Tenants {
		_, name, _ := strings.Cut(id, ":")
		tenants = append(tenants, name)
	}
	slices.Sort(tenants)
	if _, name, ok := strings.Cut(k.Tenant, ":"); ok && g.chance(20) {
		add(pick(g, []string{"x-team-id", "x-organization-id"}), name)
	}
	for _, name := range []string{"x-team-id", "x-organization-id"} {
		for g.chance(12) {
			add(name, pick(g, tenants))
		}
	}
	for g.chance(10) {
		add(pick(g, []string{"x-latchkey-key-id", "x-latchkey-tenant", "x_latchkey_tenant", "x-latchkey-other", "x_latchkey-role", "x-forwarded-host", "x-http-method-override", "x-original-url", "x-api-key", "cookie"}),
			pick(g, []string{"x", k.ID, k.Token, "DELETE", "/v1/members"}))
	}
	if g.chance(30) {
		add("x-request-id", pick(g, []string{"r1", "req_xyz789", "a b", strings.Repeat("x", 65), ""}))
	}
}

// executions is how many random requests a comparison tries: LATCHKEY_CASES,
// or enough for every run.
func executions(tb testing.TB, few int) int {
	tb.Helper()
	text := os.Getenv("LATCHKEY_CASES")
	if text == "" {
		return few
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		tb.Fatalf("LATCHKEY_CASES: %v", err)
	}
	return n
}

// TestCheckAgreesWithTheOracle asks Check and the oracle, which was written
// from the documents alone, about the same random requests.
func TestCheckAgreesWithTheOracle(t *testing.T) {
	f := newFixture(t)
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("LATCHKEY_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("LATCHKEY_SEED=%d", seed)
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0)), w: f.oracle}
	seen := map[string]int{}
	differences := 0
	n := executions(t, 100_000)
	for range n {
		r := g.request()
		want := f.oracle.Decide(r)
		if diff := compare(want, f.ask(t, r)); diff != "" {
			t.Errorf("%s\n\trequest %+v raw %v", diff, r, r.RawPath != nil)
			if differences++; differences > 20 {
				t.Fatal("too many differences")
			}
		}
		seen[want.Reason]++
	}
	t.Logf("%d requests, reasons %v", n, seen)
	for _, r := range policy.Reasons() {
		switch r {
		case policy.Public, policy.Preflight, policy.ReplicaStale, policy.NotReady:
			continue // none of the four declares the first two; an outage is not of the request
		}
		if seen[r.String()] == 0 {
			t.Errorf("no request was answered with %s: the generator has grown blind", r)
		}
	}
}
