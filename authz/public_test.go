package authz

import (
	"maps"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/latchkey/latchkey/policy"
)

// spoofed are headers by which a client would speak for us.
var spoofed = []string{
	"x-latchkey-key-id: key_full", "x-latchkey-tenant: team:t_1", "x_latchkey_tenant: team:t_1", "x-latchkey_role: owner",
	"x_latchkey-scopes: admin", "x-latchkey-: x", "x-latchkey-reason: ALLOWED", "x-latchkey-endpoint: Administer",
}

// checkOurs holds the headers by which we speak to the upstream against want.
// All others are removed, whether they were sent or not; and so is what was
// sent and could be taken for one of ours.
func checkOurs(t *testing.T, got heard, sent []string, want map[string]string) {
	t.Helper()
	if !maps.Equal(got.headers, want) {
		t.Errorf("the upstream gets\n%v, want\n%v", got.headers, want)
	}
	all := []string{"x-org-id", "x-team-id"}
	for _, name := range []string{"key-id", "policy", "type", "tenant", "tenants", "principal", "environment", "scopes", "role", "endpoint"} {
		all = append(all, "x-latchkey-"+name)
	}
	for _, header := range sent {
		if name, _, _ := strings.Cut(header, ":"); strings.HasPrefix(name, "x-latchkey-") || strings.HasPrefix(name, "x_latchkey") || strings.HasPrefix(name, "x-latchkey_") {
			all = append(all, name)
		}
	}
	for _, name := range all {
		if _, set := want[name]; set == got.removed[name] {
			t.Errorf("%s: set is %v and removed is %v", name, set, got.removed[name])
		}
	}
	for name := range got.removed {
		if !strings.HasPrefix(strings.ReplaceAll(name, "_", "-"), "x-latchkey-") && name != "x-org-id" && name != "x-team-id" && name != "authorization" && name != "x-api-key" {
			t.Errorf("%s is removed, and is none of ours", name)
		}
	}
}

// TestPublicEndpoints: nobody is asked who they are, and nothing is told of
// anybody, whatever key comes along.
func TestPublicEndpoints(t *testing.T) {
	w := newWorld(t)
	w.keys["key_none"].Disabled = true
	both := append([]string{"authorization: Basic eDp5", "x-request-id: r1", "accept: */*", "x-latchkeys: x"}, spoofed...)
	for _, c := range []struct {
		name    string
		headers []string
		removed []string
	}{
		// A place that isn't seen is emptied: Envoy may have hidden it.
		{"nothing", nil, []string{"authorization", "x-api-key"}},
		{"another scheme", append(both, "x-team-id: t_1", "x-org-id: o_9,o_8"), []string{"x-api-key"}},
		{"another scheme, and a key behind it", []string{"authorization: Basic eDp5," + strings.TrimPrefix(bearer("key_full"), "authorization: ")}, []string{"authorization", "x-api-key"}},
		{"a key", []string{bearer("key_full")}, []string{"authorization", "x-api-key"}},
		{"two keys", []string{bearer("key_full"), "x-api-key: " + tokens["key_none"]}, []string{"authorization", "x-api-key"}},
		{"a broken key", []string{"authorization: Bearer a b", "x-api-key: ???"}, []string{"authorization", "x-api-key"}},
	} {
		for _, f := range []form{mapped, raw} {
			for _, line := range []string{"GET /status", "HEAD /status", "GET /status/deep?team=t_1"} {
				method, target, _ := strings.Cut(line, " ")
				got := w.check(t, envoy(f, method, target, c.headers...))
				if got.reason != "PUBLIC" || !got.allowed {
					t.Fatalf("%s: %s", c.name, got.reason)
				}
				checkOurs(t, got, c.headers, nil)
				for _, name := range []string{"authorization", "x-api-key"} {
					want := strings.Contains(strings.Join(c.removed, " "), name)
					if got.removed[name] != want {
						t.Errorf("%s: %s removed is %v, want %v", c.name, name, got.removed[name], want)
					}
				}
			}
		}
	}
	if w.lookups != 0 {
		t.Errorf("%d keys were looked up", w.lookups)
	}
}

// TestWhatIsNotPublic: another path, a path that isn't clean and another
// method are as closed as ever.
func TestWhatIsNotPublic(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ method, target string }{
		{"POST", "/status"},
		{"GET", "/status/"},
		{"GET", "/statuses"},
		{"GET", "/status/.."},
		{"GET", "/status/../things"},
		{"GET", "/status;x"},
		{"GET", "/status/%2e"},
		{"GET", "//status"},
		{"get", "/status"},
	} {
		if got := w.check(t, envoy(raw, c.method, c.target)); got.reason != "KEY_MISSING" {
			t.Errorf("%s %s: %s", c.method, c.target, got.reason)
		}
	}
	torn := envoy(raw, "GET", "/status")
	torn.GetAttributes().GetRequest().GetHttp().Path = "/things"
	if got := w.check(t, torn); got.reason != "KEY_MISSING" {
		t.Errorf("two renderings of a path that differ: %s", got.reason)
	}
}

// TestPreflights need OPTIONS, Origin, Access-Control-Request-Method, a route
// that exists, and a policy that wants them.
func TestPreflights(t *testing.T) {
	w := newWorld(t)
	const origin, asks = "origin: https://app.example", "access-control-request-method: POST"
	ask := func(method, target string, headers ...string) *authv3.CheckRequest {
		return envoy(mapped, method, target, headers...)
	}
	for name, c := range map[string]struct {
		check *authv3.CheckRequest
		want  policy.Reason
	}{
		"one":                   {ask("OPTIONS", "/things", origin, asks), policy.Preflight},
		"with a query":          {ask("OPTIONS", "/things?x=1", origin, asks), policy.Preflight},
		"for any method":        {ask("OPTIONS", "/admin/x", origin, asks), policy.Preflight},
		"by HEAD for GET":       {ask("OPTIONS", "/things", origin, "access-control-request-method: HEAD"), policy.Preflight},
		"without Origin":        {ask("OPTIONS", "/things", asks), policy.KeyMissing},
		"an empty Origin":       {ask("OPTIONS", "/things", "origin: ", asks), policy.KeyMissing},
		"without a method":      {ask("OPTIONS", "/things", origin), policy.KeyMissing},
		"an empty method":       {ask("OPTIONS", "/things", origin, "access-control-request-method: "), policy.KeyMissing},
		"two methods":           {ask("OPTIONS", "/things", origin, asks, asks), policy.KeyMissing},
		"two methods, as list":  {envoy(raw, "OPTIONS", "/things", origin, asks, asks), policy.KeyMissing},
		"two origins, as list":  {envoy(raw, "OPTIONS", "/things", origin, origin, asks), policy.KeyMissing},
		"not OPTIONS":           {ask("GET", "/things", origin, asks), policy.KeyMissing},
		"no such route":         {ask("OPTIONS", "/nothing", origin, asks), policy.KeyMissing},
		"no such method there":  {ask("OPTIONS", "/things", origin, "access-control-request-method: DELETE"), policy.KeyMissing},
		"a path that isn't one": {ask("OPTIONS", "/things/..", origin, asks), policy.KeyMissing},
		"of a public endpoint":  {ask("OPTIONS", "/status", origin, "access-control-request-method: GET"), policy.Preflight},
	} {
		t.Run(name, func(t *testing.T) {
			if got := w.check(t, c.check); got.reason != c.want.String() || got.allowed != c.want.Allows() {
				t.Errorf("answered with %s, want %s", got.reason, c.want)
			}
		})
	}
	got := w.check(t, ask("OPTIONS", "/things", append([]string{origin, asks, bearer("key_full"), "x-team-id: t_1"}, spoofed...)...))
	checkOurs(t, got, spoofed, nil)
	if !got.removed["authorization"] {
		t.Error("a key that came with a preflight is passed on")
	}
}

// TestPreflightsAreOff unless the policy says otherwise.
func TestPreflightsAreOff(t *testing.T) {
	w := newWorld(t, compile(t, strings.ReplaceAll(capturedPolicy, "other.example", "cors.example")))
	got := w.check(t, envoy(mapped, "OPTIONS", "/v1/chat", "host: cors.example", "origin: https://x", "access-control-request-method: POST"))
	if got.reason != "KEY_MISSING" {
		t.Errorf("answered with %s", got.reason)
	}
}
