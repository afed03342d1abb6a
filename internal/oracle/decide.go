package oracle

import "fmt"

// Decision is what the client or the upstream gets.
type Decision struct {
	Allow  bool
	Status int // 200, 401 or 403
	Reason string
	// Identity is the x-latchkey-* headers set on allow, without those removed
	// and without those of Unfixed.
	Identity map[string]string
	// Remove is the headers that must not reach the upstream, as far as they
	// are known: the credential, identity headers without a value, and every
	// other header seen with such a name.
	Remove []string
	// TenantHeaders is the tenant headers as set for the upstream; one that the
	// policy declares and that is absent here is removed.
	TenantHeaders map[string]string
	// Body is set only where the vendor's document fixes it; {request_id} and
	// {message} stand for what it leaves open.
	Body            string
	WWWAuthenticate string
}

// Decide answers one request. The checks stand in the order of the contract's
// table of reasons: who are you comes before what may you do.
func (w *World) Decide(r Request) Decision {
	policy := policyOf(r)
	if policy == "" {
		return Decision{Status: 403, Reason: "HOST_UNKNOWN"}
	}
	token, reason := tokenOf(r)
	var k Key
	if reason == "" {
		k, reason = w.authenticate(policy, token)
	}
	if reason != "" {
		return unauthorized(policy, reason)
	}
	forbidden := func(reason string) Decision { return forbid(policy, reason, k, r) }

	if !k.isUserKey() && !w.tenantActive(k.Tenant) {
		return forbidden("TENANT_SUSPENDED")
	}
	segments, clean := segmentsOf(r)
	if !clean {
		return forbidden("PATH_AMBIGUOUS")
	}
	a := accessOf(policy, r.Method, segments)
	if !a.known {
		return forbidden("ENDPOINT_UNKNOWN")
	}
	if !environmentFits(policy, k.Environment, r) {
		return forbidden("ENVIRONMENT_MISMATCH")
	}
	if !contains(a.types, k.Type) {
		return forbidden("KEY_TYPE_NOT_ALLOWED")
	}
	if !w.holds(k, a.scope) {
		return forbidden("SCOPE_MISSING")
	}
	if a.permission != "" && !w.cuneiformPermits(k, a.permission) {
		return forbidden("PERMISSION_MISSING")
	}
	t, ok := w.tenancyOf(k, a, r)
	if !ok {
		return forbidden("TENANT_MISMATCH")
	}
	return w.allow(k, t, r)
}

// holds says whether a key's scopes, after role and ceiling, cover an endpoint.
// The types of kodey and shortkit have fixed grants: what they can reach at
// all, each of their keys reaches.
func (w *World) holds(k Key, scope string) bool {
	switch k.Policy {
	case "cuneiform":
		return contains(w.cuneiformHolds(k), scope)
	case "spotzee":
		return w.spotzeeHolds(k, scope)
	}
	return true
}

func unauthorized(policy, reason string) Decision {
	d := Decision{Status: 401, Reason: reason, WWWAuthenticate: fmt.Sprintf("Bearer realm=%q", policy)}
	if reason != "KEY_MISSING" {
		d.WWWAuthenticate += `, error="invalid_token"`
	}
	if policy == "shortkit" {
		d.Body = shortkitBody(reason, 401, "", "")
	}
	return d
}

func forbid(policy, reason string, k Key, r Request) Decision {
	d := Decision{Status: 403, Reason: reason}
	switch policy {
	case "shortkit":
		d.Body = shortkitBody(reason, 403, k.Environment, shortkitEnvironment(r))
	case "cuneiform":
		if reason == "SCOPE_MISSING" || reason == "PERMISSION_MISSING" {
			d.Body = `{"error":{"type":"permission_error","code":"invalid_scope","message":"{message}"}}`
		}
	}
	return d
}
