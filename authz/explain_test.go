package authz

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
)

// ask is a question about the fixture, presented with a key's token.
func ask(method, path, id string, headers ...policy.Header) Question {
	return Question{Method: method, Host: "api.acme.example", Path: path, Headers: headers, Token: key.NewToken(tokens[id])}
}

// steps renders the steps of an explanation: the checks, the last one with
// its detail.
func steps(e Explanation) string {
	var list []string
	for _, s := range e.Steps {
		list = append(list, s.Check)
	}
	last := e.Steps[len(e.Steps)-1]
	return fmt.Sprintf("%s: passed %v: %s", strings.Join(list, ", "), last.Passed, last.Detail)
}

// TestStepsOfAnExplanation: they go as far as the decision went and say what
// it saw.
func TestStepsOfAnExplanation(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name  string
		ask   Question
		world func(*world)
		steps string
	}{
		{name: "allowed", ask: ask("GET", "/things", "key_full"), steps: "host, credential, status, tenant status, endpoint, environment, key type, scopes, permissions, tenant: passed true: team:t_1"},
		{name: "a principal's", ask: ask("GET", "/things", "key_both"), steps: "host, credential, status, principal, endpoint, environment, key type, scopes, permissions, tenant: passed true: one of team:t_1, team:t_2"},
		{name: "not ready", ask: ask("GET", "/things", "key_full"), world: func(w *world) { w.revision = 0 }, steps: "store: passed false: NOT_READY: no revision yet"},
		{name: "no host", ask: Question{Method: "GET", Host: "x.example", Path: "/"}, steps: `host: passed false: HOST_UNKNOWN: no policy claims the host "x.example"`},
		{name: "no key", ask: Question{Method: "GET", Host: "api.acme.example", Path: "/things"}, steps: "host, credential: passed false: KEY_MISSING: in authorization (Bearer) or x-api-key"},
		{name: "unknown", ask: Question{Method: "GET", Host: "api.acme.example", Path: "/things", Presented: &Presented{}}, steps: "host, key: passed false: KEY_UNKNOWN"},
		{name: "by id", ask: Question{Method: "GET", Host: "api.acme.example", Path: "/things", Presented: &Presented{w.keys["key_full"].Facts()}}, steps: "host, status, tenant status, endpoint, environment, key type, scopes, permissions, tenant: passed true: team:t_1"},
		{name: "expired", ask: ask("GET", "/things", "key_full"), world: func(w *world) { w.keys["key_full"].Expires = noon }, steps: "host, credential, status: passed false: KEY_EXPIRED: key_full is expired"},
		{name: "gone", ask: ask("GET", "/things", "key_user"), world: func(w *world) { delete(w.principals, "user:ada") }, steps: "host, credential, status, principal: passed false: PRINCIPAL_GONE: owner user:ada"},
		{name: "suspended", ask: ask("GET", "/things", "key_full"), world: suspend("org:o_1"), steps: "host, credential, status, tenant status: passed false: TENANT_SUSPENDED: owner team:t_1"},
		{name: "path", ask: ask("GET", "/things/..", "key_full"), steps: "host, credential, status, tenant status, path: passed false: PATH_AMBIGUOUS: it could mean different things to different servers"},
		{name: "endpoint", ask: ask("PUT", "/things", "key_full"), steps: `host, credential, status, tenant status, endpoint: passed false: ENDPOINT_UNKNOWN: no route matches "PUT" and this path`},
		{name: "environment", ask: ask("GET", "/things", "key_test"), steps: `host, credential, status, tenant status, endpoint, environment: passed false: ENVIRONMENT_MISMATCH: key "test", request "live"`},
		{name: "type", ask: ask("GET", "/admin/x", "key_full"), steps: "host, credential, status, tenant status, endpoint, environment, key type: passed false: KEY_TYPE_NOT_ALLOWED: secret on Administer"},
		{name: "scopes", ask: ask("GET", "/things", "key_none"), steps: "host, credential, status, tenant status, endpoint, environment, key type, scopes: passed false: SCOPE_MISSING: required read; held none"},
		{name: "permissions", ask: ask("DELETE", "/things/1", "key_guest"), steps: "host, credential, status, tenant status, endpoint, environment, key type, scopes, permissions: passed false: PERMISSION_MISSING: required things.delete; held none"},
		{name: "tenant", ask: ask("GET", "/things", "key_full", policy.Header{Name: "X-Team-Id", Value: "t_2"}), steps: "host, credential, status, tenant status, endpoint, environment, key type, scopes, permissions, tenant: passed false: TENANT_MISMATCH: team:t_2 is not reached"},
		{name: "no tenant", ask: ask("GET", "/inbox", "key_both"), steps: "host, credential, status, principal, endpoint, environment, key type, scopes, permissions, tenant: passed false: TENANT_MISMATCH: none"},
		{name: "of a replica", ask: ask("GET", "/things", "key_full"), world: cutOff(time.Minute, time.Hour), steps: "host, lease, credential, status, tenant status, endpoint, environment, key type, scopes, permissions, tenant: passed true: team:t_1"},
		{name: "of a strict type", ask: ask("GET", "/things", "key_parent"), world: cutOff(time.Second, time.Hour), steps: "host, lease, credential, type lease, status, tenant status, endpoint, environment, key type, scopes, permissions, tenant: passed true: org:o_1"},
		{name: "stale", ask: ask("GET", "/things", "key_full"), world: cutOff(90*time.Second, time.Minute), steps: "host, lease: passed false: REPLICA_STALE: proven to be current 1m30s ago; allowed is 1m0s"},
		{name: "never proven", ask: ask("GET", "/things", "key_full"), world: neverProven(time.Minute), steps: "host, lease: passed false: REPLICA_STALE: never proven to be current; allowed is 1m0s"},
		{name: "stale for its type", ask: ask("GET", "/things", "key_parent"), world: cutOff(time.Minute, time.Hour), steps: "host, lease, credential, type lease: passed false: REPLICA_STALE: proven to be current 1m0s ago; allowed is 30s for keys of the type parent"},
		{name: "public, while stale", ask: Question{Method: "GET", Host: "api.acme.example", Path: "/status"}, world: neverProven(time.Minute), steps: "host, endpoint: passed true: PUBLIC: Status, by the route GET /status"},
		{name: "public", ask: Question{Method: "GET", Host: "api.acme.example", Path: "/status"}, steps: "host, endpoint: passed true: PUBLIC: Status, by the route GET /status"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			if c.world != nil {
				c.world(w)
			}
			e := Explain(w.view(), c.ask, noon)
			if got := steps(e); got != c.steps {
				t.Errorf("steps are\n%s, want\n%s", got, c.steps)
			}
		})
	}
}

// TestALeaseIsExplained, whatever comes of it: how old the view is, and how old
// it may be.
func TestALeaseIsExplained(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		world func(*world)
		want  string
	}{
		{cutOff(3*time.Second, time.Minute), "proven to be current 3s ago; allowed is 1m0s"},
		{cutOff(0, 0), "proven to be current 0s ago; allowed is any age"},
		{neverProven(0), "never proven to be current; allowed is any age"},
	} {
		c.world(w)
		if s := Explain(w.view(), ask("GET", "/things", "key_full"), noon).Steps[1]; s != (Step{"lease", true, c.want}) {
			t.Errorf("the step is %+v, want %s", s, c.want)
		}
	}
}

// TestWhatIsMissing: required, held, missing and cut by the ceiling.
func TestWhatIsMissing(t *testing.T) {
	newWorld(t)
	for _, c := range []struct {
		ask                           Question
		world                         func(*world)
		status                        int
		required, held, missing, cuts []string
	}{
		{ask: ask("GET", "/things", "key_full"), status: 200, required: []string{"read"}, held: []string{"read", "write"}},
		{ask: ask("GET", "/things", "key_none"), status: 403, required: []string{"read"}, missing: []string{"read"}},
		{
			ask: ask("POST", "/things", "key_guest"), status: 403, required: []string{"write"}, held: []string{"read"}, missing: []string{"write"},
			cuts: []string{"write: the creator user:eve lacks things.delete in team:t_1"},
		},
		{
			ask: ask("DELETE", "/things/1", "key_guest"), status: 403, required: []string{"read", "things.delete"}, held: []string{"read"},
			missing: []string{"things.delete"}, cuts: []string{"write: the creator user:eve lacks things.delete in team:t_1"},
		},
		{
			ask: ask("GET", "/things", "key_full"), world: func(w *world) { delete(w.principals, "user:ada") }, status: 403,
			required: []string{"read"}, missing: []string{"read"}, cuts: []string{
				"read: the creator user:ada does not hold it in team:t_1", "write: the creator user:ada lacks things.delete in team:t_1",
			},
		},
		{ask: ask("GET", "/admin/x", "key_member"), status: 403, required: []string{"admin"}, held: []string{"read"}, missing: []string{"admin"}},
		{ask: Question{Method: "GET", Host: "api.acme.example", Path: "/things"}, status: 401, required: []string{"read"}},
		{ask: ask("GET", "/status", "key_full"), status: 200},
		{ask: ask("GET", "/nothing", "key_full"), status: 403},
	} {
		w := newWorld(t)
		if c.world != nil {
			c.world(w)
		}
		e := Explain(w.view(), c.ask, noon)
		if e.Status != c.status || !slices.Equal(e.Required, c.required) || !slices.Equal(e.Held, c.held) || !slices.Equal(e.Missing, c.missing) || !slices.Equal(e.Cuts, c.cuts) {
			t.Errorf("%s %s: status %d, required %q, held %q, missing %q, cuts %q; want %d, %q, %q, %q, %q", c.ask.Method, c.ask.Path,
				e.Status, e.Required, e.Held, e.Missing, e.Cuts, c.status, c.required, c.held, c.missing, c.cuts)
		}
	}
}

// TestExplainAsCheck: every reason is explained as it is answered, with the
// same status and the same headers for the upstream.
func TestExplainAsCheck(t *testing.T) {
	newWorld(t)
	for reason, c := range reasonCases() {
		w := newWorld(t)
		if c.world != nil {
			c.world(w)
		}
		http := c.request.GetAttributes().GetRequest().GetHttp()
		q := Question{Method: http.GetMethod(), Host: http.GetHost(), Path: http.GetPath()}
		for name, value := range http.GetHeaders() {
			if !strings.HasPrefix(name, ":") {
				q.Headers = append(q.Headers, policy.Header{Name: name, Value: value})
			}
		}
		got, e := w.check(t, c.request), Explain(w.view(), q, noon)
		if e.Verdict.Reason != reason || e.Status != got.status || got.allowed != (e.Identity != nil) || got.allowed && !maps.Equal(e.Identity, got.headers) {
			t.Errorf("%s is explained as %s, status %d with %v; answered with status %d and %v", reason, e.Verdict.Reason, e.Status, e.Identity, got.status, got.headers)
		}
	}
	// Bytes that aren't UTF-8 are the query's business, and explained as that.
	w := newWorld(t)
	for _, query := range []string{"\xff", "\xff\xff", "é\xff\xfe", "�", "�\xff", "\xed\xa0\x80"} {
		if e := Explain(w.view(), ask("GET", "/things?q="+query, "key_full"), noon); e.Verdict.Reason != policy.Allowed {
			t.Errorf("%q: %s", query, e.Verdict.Reason)
		}
		if got := rendering(query); got != rendered(query) {
			t.Errorf("%q is rendered as %q", query, got)
		}
	}
	// What can't be told is explained as it is answered.
	w.keys["key_full"].Role = "a\nb"
	if e := Explain(w.view(), ask("GET", "/things", "key_full"), noon); e.Verdict.Reason != policy.Undecided || e.Status != 503 || e.Identity != nil {
		t.Errorf("an unsafe value: %s, status %d, %v", e.Verdict.Reason, e.Status, e.Identity)
	}
}

// TestATokenIsPresentedWhereThePolicyLooks first, and nowhere else.
func TestATokenIsPresentedWhereThePolicyLooks(t *testing.T) {
	p := compile(t, strings.NewReplacer("scopes: [chat, members]", "credentials: [x-key]\nscopes: [chat, members]", "api.example, other.example", "key.example").Replace(capturedPolicy))
	w := newWorld(t, p)
	w.keys["key_full"].Policy, w.keys["key_full"].Environment = "captured", ""
	token := key.NewToken("sk_live_" + filler[2:])
	setToken(w.keys["key_full"], token.Reveal())
	w.keys["key_full"].Scopes = []string{"chat"}
	w.keys["key_full"].Creator = ""
	q := Question{Method: "GET", Host: "key.example", Path: "/v1/chat", Token: token}
	if e := Explain(w.view(), q, noon); e.Verdict.Reason != policy.Allowed {
		t.Errorf("in x-key: %s", steps(e))
	}
	q.Headers = []policy.Header{{Name: "X-Key", Value: "another"}}
	if e := Explain(w.view(), q, noon); e.Verdict.Reason != policy.KeyAmbiguous {
		t.Errorf("beside another: %s", steps(e))
	}
	q.Host, q.Extensions, q.Headers = "nowhere", map[string]string{policy.ExtensionPolicy: "captured"}, nil
	if e := Explain(w.view(), q, noon); e.Verdict.Reason != policy.Allowed {
		t.Errorf("by the Envoy route: %s", steps(e))
	}
}

// TestExplanationsHoldNoToken, wherever in a request one is presented.
func TestExplanationsHoldNoToken(t *testing.T) {
	w := newWorld(t)
	for id := range tokens {
		for _, token := range []string{tokens[id], tokens[id] + "x", "zz_live_" + filler} {
			for _, q := range []Question{
				{Token: key.NewToken(token)},
				{Headers: []policy.Header{{Name: "Authorization", Value: "Bearer " + token}}},
				{Headers: []policy.Header{{Name: "Authorization", Value: token}, {Name: "X-Api-Key", Value: token + " "}}},
				{Headers: []policy.Header{{Name: "X-Api-Key", Value: token}}, Token: key.NewToken(token)},
				{Headers: []policy.Header{{Name: "Cookie", Value: token}, {Name: "X-Request-Id", Value: token}}},
				{Path: "/things/" + token, Token: key.NewToken(token)},
				{Path: "/things?key=" + token, Token: key.NewToken(token)},
				{Path: "/nothing/" + token, Token: key.NewToken(token)},
			} {
				q.Method, q.Host = "GET", "api.acme.example"
				if q.Path == "" {
					q.Path = "/things"
				}
				e := Explain(w.view(), q, noon)
				if text := fmt.Sprintf("%+v %+v %+v", e, e.Verdict.Key, e.Verdict.Route); strings.Contains(text, token) {
					t.Fatalf("%s", text)
				}
			}
		}
	}
}
