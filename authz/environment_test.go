package authz

import (
	"testing"

	"github.com/latchkey/latchkey/policy"
)

// TestEnvironments: a key opens its own environment's host, a host that is
// open to all, and what the Envoy route pins.
func TestEnvironments(t *testing.T) {
	const allowed, mismatch, unknown = policy.Allowed, policy.EnvironmentMismatch, policy.HostUnknown
	pin := func(pairs ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m["latchkey."+pairs[i]] = pairs[i+1]
		}
		return m
	}
	for _, c := range []struct {
		key, host  string
		extensions map[string]string
		want       policy.Reason
	}{
		{"key_full", "api.acme.example", nil, allowed},
		{"key_full", "test.acme.example", nil, mismatch},
		{"key_full", "any.acme.example", nil, allowed},
		{"key_test", "api.acme.example", nil, mismatch},
		{"key_test", "test.acme.example", nil, allowed},
		{"key_test", "any.acme.example", nil, allowed},
		{"key_test", "API.acme.example:443", nil, mismatch},
		{"key_test", "any.acme.example", pin("environment", "live"), mismatch},
		{"key_test", "any.acme.example", pin("environment", "test"), allowed},
		{"key_test", "api.acme.example", pin("environment", "test"), allowed}, // the route wins over the host
		{"key_full", "api.acme.example", pin("environment", "test"), mismatch},
		{"key_full", "api.acme.example", pin("environment", "prod"), mismatch},
		{"key_full", "any.acme.example", pin("environment", ""), mismatch},
		{"key_full", "other.example", pin("policy", "acme"), allowed},
		{"key_full", "other.example", pin("policy", "acme", "environment", "test"), mismatch},
		{"key_full", "api.acme.example", pin("policy", "other"), unknown},
		{"key_full", "api.acme.example", pin("policy", ""), unknown},
		{"key_full", "other.example", pin("environment", "live"), unknown},
	} {
		w := newWorld(t)
		check := envoy(mapped, "GET", "/things", bearer(c.key), "host: "+c.host)
		check.GetAttributes().ContextExtensions = c.extensions
		if got := w.check(t, check); got.reason != c.want.String() {
			t.Errorf("%s at %q with %v: %s, want %s", c.key, c.host, c.extensions, got.reason, c.want)
		}
	}
}

// TestHeadersPinNothing: what the Envoy route says can't be said by a client.
func TestHeadersPinNothing(t *testing.T) {
	w := newWorld(t)
	got := w.check(t, get("/things", bearer("key_full"), "latchkey.environment: test", "latchkey.policy: other", "x-forwarded-host: test.acme.example"))
	if got.reason != "ALLOWED" {
		t.Errorf("answered with %s", got.reason)
	}
}

// TestEnvironmentsThatCameAndWent: a key without an environment opens nothing
// of a policy that has some, nor one with an environment of a policy that has
// none, nor one whose environment is gone.
func TestEnvironmentsThatCameAndWent(t *testing.T) {
	w := newWorld(t, compile(t, capturedPolicy)) // the latter has none
	full := w.keys["key_full"]
	for _, c := range []struct {
		policy, host, environment string
		want                      policy.Reason
	}{
		{"acme", "any.acme.example", "live", policy.Allowed},
		{"acme", "any.acme.example", "", policy.EnvironmentMismatch},
		{"acme", "api.acme.example", "", policy.EnvironmentMismatch},
		{"acme", "any.acme.example", "former", policy.EnvironmentMismatch},
		{"captured", "api.example", "", policy.Allowed},
		{"captured", "api.example", "live", policy.EnvironmentMismatch},
	} {
		full.Policy, full.Environment, full.Creator, full.Scopes = c.policy, c.environment, "", []string{"read", "chat"}
		target := map[string]string{"acme": "/things", "captured": "/v1/chat"}[c.policy]
		token := map[string]string{"acme": tokens["key_full"], "captured": "sk_live_" + filler[2:]}[c.policy]
		setToken(full, token)
		if got := w.check(t, get(target, "authorization: Bearer "+token, "host: "+c.host)); got.reason != c.want.String() {
			t.Errorf("a key of %q in %s: %s, want %s", c.environment, c.policy, got.reason, c.want)
		}
	}
}
