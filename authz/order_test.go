package authz

import (
	"slices"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
)

// TestOrderOfReasons begins with a request with which everything is wrong,
// and puts right one thing after the other: what is answered must always be
// the first thing that is still wrong.
func TestOrderOfReasons(t *testing.T) {
	w := newWorld(t)
	k := w.keys["key_guest"]
	*k = key.Record{
		ID: "key_guest", Policy: "other", Type: "secret", Environment: "test", Tenant: "team:t_1", Creator: "user:eve",
		Secrets: k.Secrets, Expires: noon, Revoked: noon, Disabled: true,
	}
	w.tenants["team:t_1"].Suspended = true
	w.revision = 0
	neverProven(time.Hour)(w)
	method, target := "DELETE", "/admin/%2e%2e"
	headers := []string{"host: other.example", "x-team-id: t_3"}
	token := tokens["key_guest"]
	for _, step := range []struct {
		want  policy.Reason
		right func()
	}{
		{policy.NotReady, func() { w.revision = 7 }},
		{policy.HostUnknown, func() { headers[0] = "host: api.acme.example" }},
		{policy.ReplicaStale, func() { cutOff(time.Hour, time.Hour)(w) }},
		{policy.KeyMissing, func() { headers = append(headers, "authorization: bearer "+token[1:], "x-api-key: "+token) }},
		{policy.KeyAmbiguous, func() { headers = headers[:3] }},
		{policy.KeyMalformed, func() { headers[2] = bearer("key_guest") }},
		{policy.KeyUnknown, func() { k.Policy = "acme" }},
		{policy.KeyRevoked, func() { k.Revoked = time.Time{} }},
		{policy.KeyExpired, func() { k.Expires = time.Time{} }},
		{policy.KeyDisabled, func() { k.Disabled = false }},
		{policy.TenantSuspended, func() { w.tenants["team:t_1"].Suspended = false }},
		{policy.PathAmbiguous, func() { target = "/things/1/2" }},
		{policy.EndpointUnknown, func() { target = "/admin/1" }},
		{policy.EnvironmentMismatch, func() { k.Environment = "live" }},
		{policy.KeyTypeNotAllowed, func() { target = "/things/1" }},
		{policy.ScopeMissing, func() { k.Scopes = []string{"read"} }},
		{policy.PermissionMissing, func() { k.Creator = "user:ada" }},
		{policy.TenantMismatch, func() { headers[1] = "x-team-id: t_1" }},
		{policy.Allowed, func() {}},
	} {
		for _, f := range []form{mapped, raw} {
			if got := w.check(t, envoy(f, method, target, headers...)); got.reason != step.want.String() {
				t.Fatalf("answered with %s, want %s", got.reason, step.want)
			}
		}
		step.right()
	}
}

// TestAPrincipalIsAskedAfterItsKey: the same for what is asked of a
// principal's key.
func TestAPrincipalIsAskedAfterItsKey(t *testing.T) {
	w := newWorld(t)
	k := w.keys["key_user"]
	delete(w.principals, "user:ada")
	k.Disabled = true
	ask := func(want policy.Reason) {
		t.Helper()
		if got := w.check(t, envoy(mapped, "GET", "/things/..", bearer("key_user"))); got.reason != want.String() {
			t.Fatalf("answered with %s, want %s", got.reason, want)
		}
	}
	ask(policy.KeyDisabled)
	k.Disabled = false
	ask(policy.PrincipalGone)
	w.principals["user:ada"] = newWorld(t).principals["user:ada"]
	ask(policy.PathAmbiguous)
}

// TestEmptyParts: whatever a CheckRequest lacks, it is refused.
func TestEmptyParts(t *testing.T) {
	http := func(h *authv3.AttributeContext_HttpRequest) *authv3.CheckRequest {
		return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{Http: h}}}
	}
	whole := func() *authv3.AttributeContext_HttpRequest {
		return envoy(raw, "GET", "/things", bearer("key_full")).GetAttributes().GetRequest().GetHttp()
	}
	lacking := func(change func(*authv3.AttributeContext_HttpRequest)) *authv3.CheckRequest {
		h := whole()
		change(h)
		return http(h)
	}
	w := newWorld(t)
	for name, c := range map[string]struct {
		check *authv3.CheckRequest
		want  policy.Reason
	}{
		"nothing":          {nil, policy.HostUnknown},
		"no attributes":    {&authv3.CheckRequest{}, policy.HostUnknown},
		"no request":       {&authv3.CheckRequest{Attributes: &authv3.AttributeContext{}}, policy.HostUnknown},
		"no http":          {http(nil), policy.HostUnknown},
		"empty http":       {http(&authv3.AttributeContext_HttpRequest{}), policy.HostUnknown},
		"host alone":       {http(&authv3.AttributeContext_HttpRequest{Host: "api.acme.example"}), policy.KeyMissing},
		"no host":          {lacking(func(h *authv3.AttributeContext_HttpRequest) { h.Host = "" }), policy.HostUnknown},
		"no headers":       {lacking(func(h *authv3.AttributeContext_HttpRequest) { h.HeaderMap = nil }), policy.KeyMissing},
		"a nil header":     {lacking(func(h *authv3.AttributeContext_HttpRequest) { h.HeaderMap.Headers[2] = nil }), policy.KeyMissing},
		"no method":        {lacking(func(h *authv3.AttributeContext_HttpRequest) { h.Method = "" }), policy.EndpointUnknown},
		"no path at all":   {lacking(func(h *authv3.AttributeContext_HttpRequest) { h.Path, h.HeaderMap.Headers[0] = "", nil }), policy.PathAmbiguous},
		"no shown path":    {lacking(func(h *authv3.AttributeContext_HttpRequest) { h.Path = "" }), policy.PathAmbiguous},
		"no raw path":      {lacking(func(h *authv3.AttributeContext_HttpRequest) { h.HeaderMap.Headers[0] = nil }), policy.Allowed},
		"everything":       {http(whole()), policy.Allowed},
		"a query, no path": {envoy(raw, "GET", "?x=1", bearer("key_full")), policy.PathAmbiguous},
	} {
		t.Run(name, func(t *testing.T) {
			if got := w.check(t, c.check); got.reason != c.want.String() || got.allowed != c.want.Allows() {
				t.Errorf("answered with %s, want %s", got.reason, c.want)
			}
		})
	}
}

// TestPathsThatContradictThemselves: both renderings of a path must mean the
// same, and only the raw one may hold a '!'.
func TestPathsThatContradictThemselves(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name, shown string
		raw         []string // none: headers as a map
		want        policy.Reason
	}{
		{"the same", "/things/a", []string{"/things/a"}, policy.Allowed},
		{"another", "/things/a", []string{"/things/b"}, policy.PathAmbiguous},
		{"longer", "/things/a", []string{"/things/ab"}, policy.PathAmbiguous},
		{"shorter", "/things/a", []string{"/things/"}, policy.PathAmbiguous},
		{"twice", "/things/a", []string{"/things/a", "/things/a"}, policy.PathAmbiguous},
		{"a mark that was sent", "/things/a!", []string{"/things/a!"}, policy.Allowed},
		{"a mark for a letter", "/things/a!", []string{"/things/ab"}, policy.PathAmbiguous},
		{"a mark for a byte", "/things/a!", []string{"/things/a\xff"}, policy.PathAmbiguous},
		{"a mark that could be a byte", "/things/a!", nil, policy.PathAmbiguous},
		{"marks in the query", "/things?q=!!", []string{"/things?q=\xff\x80"}, policy.Allowed},
		{"a query that differs", "/things?q=a", []string{"/things?q=b"}, policy.PathAmbiguous},
		{"whole characters", "/things?q=é", []string{"/things?q=é"}, policy.Allowed},
	} {
		t.Run(c.name, func(t *testing.T) {
			check := envoy(form(c.raw != nil), "GET", c.shown, bearer("key_full"))
			http := check.GetAttributes().GetRequest().GetHttp()
			if c.raw != nil {
				http.HeaderMap.Headers = slices.Delete(http.HeaderMap.Headers, 0, 1) // the one of envoy's
				for _, text := range c.raw {
					http.HeaderMap.Headers = append(http.HeaderMap.Headers, &corev3.HeaderValue{Key: ":path", RawValue: []byte(text)})
				}
			}
			if got := w.check(t, check); got.reason != c.want.String() {
				t.Errorf("answered with %s, want %s", got.reason, c.want)
			}
		})
	}
}
