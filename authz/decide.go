package authz

import (
	"time"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
)

// decision is one decision in the making. An explanation gives it a trace and
// may present a key itself in place of a token.
type decision struct {
	Verdict
	view      View
	request   *Request
	now       time.Time     // once decide has begun: no clock that is behind
	age       time.Duration // how long ago the view was proven to be current
	presented *Presented
	trace     *trace
	digest    key.Digest       // of the token that was looked up
	found     key.Facts        // what Verdict.Key points to
	owner     directory.Tenant // that the key belongs to, once it was found active
	reached   []string         // memory for Verdict.Tenants
	clean     bool
}

// reset empties the decision and keeps its memory.
func (d *decision) reset() {
	clear(d.reached[:cap(d.reached)])
	*d = decision{reached: d.reached[:0]}
}

// decide holds the request against what is known at one revision. It is pure:
// the same view, request and time give the same verdict. It runs the checks
// from top to bottom: who is this before what may they do. Nothing after a
// check runs unless it passed, except that the path is matched early, because a
// public endpoint needs nobody's name.
func (d *decision) decide() {
	d.Revision = d.view.Revision
	d.age = d.view.Lease.Age(d.now) // by the monotonic reading, which what follows may lose
	d.now = d.view.clock(d.now)
	d.Reason = d.addressed()
	if d.Reason == policy.Undecided {
		d.Reason = d.authenticated()
	}
	if d.Reason == policy.Undecided {
		d.Reason = d.authorized()
	}
	if d.Key != nil && !d.Reason.Allows() {
		d.known()
	}
	d.trace.verdict(d)
}

// known fills in what a refused request doesn't get to, for those who read the
// metadata of refusals: what the key holds, and the tenant that owns it, unless
// that is what is in doubt.
func (d *decision) known() {
	if d.Held == (policy.Holder{}) {
		d.Held = d.Place.Policy.Held(d.Type, d.Key, d.Key.Tenant, d.view.Directory)
	}
	if d.Tenant == "" && d.Reason != policy.TenantMismatch {
		d.Tenant = d.Key.Tenant
	}
	if d.Plan == "" {
		d.Plan = d.planOf(d.Key.Tenant)
	}
}

// planOf returns the plan of a tenant.
func (d *decision) planOf(tenant string) string {
	t := d.owner
	if t.ID != tenant {
		t, _ = d.view.Directory.Tenant(tenant)
	}
	return t.Plan
}

// addressed finds whose request it is, and whether it needs a key at all.
func (d *decision) addressed() policy.Reason {
	if d.view.Revision == 0 || d.view.Policies == nil {
		return d.fail("store", policy.NotReady)
	}
	place, ok := d.view.Policies.Find(d.request.host, d.request.extensions)
	if !ok {
		return d.fail("host", policy.HostUnknown)
	}
	d.Place = place
	d.pass("host")
	d.clean = !d.request.torn && place.Policy.CleanPath(d.request.path, d.request.verbatim)
	if !d.clean {
		return policy.Undecided
	}
	d.Route = place.Policy.Match(d.request.method, d.request.path)
	if d.Route != nil && d.Route.Endpoint.Public {
		return policy.Public
	}
	if method, ok := d.request.preflight(); ok && place.Policy.Preflights() {
		if asked := place.Policy.Match(method, d.request.path); asked != nil {
			d.Route = asked
			return policy.Preflight
		}
	}
	return policy.Undecided
}

// authenticated finds out who is asking. Knowledge that is too old says nothing
// of anybody: it would let in whom the hub has locked out long since.
func (d *decision) authenticated() policy.Reason {
	if lease := d.view.Lease; lease != nil {
		if stale(d.age, lease.Limit) {
			return d.fail("lease", policy.ReplicaStale)
		}
		d.pass("lease")
	}
	if d.presented == nil {
		token, reason := d.request.credential(d.Place.Policy)
		if reason != policy.Allowed {
			return d.fail("credential", reason)
		}
		if !d.Place.Policy.WellFormed(token) {
			return d.fail("credential", policy.KeyMalformed)
		}
		d.pass("credential")
		d.digest = token.Digest()
		if d.view.Keys.Lookup(d.digest, &d.found) {
			d.Key = &d.found
		}
	} else {
		d.Key = d.presented.Facts
	}
	if d.Key == nil || d.Key.Policy != d.Place.Policy.Name() {
		d.Key = nil // a key of another policy is nobody's business here
		return d.fail("key", policy.KeyUnknown)
	}
	if d.Type = d.Place.Policy.Type(d.Key.Type); d.Type == nil || d.Type.Owner != directory.Kind(d.Key.Tenant) {
		d.Key, d.Type = nil, nil // its type was taken out of the policy, or is another's now
		return d.fail("key", policy.KeyUnknown)
	}
	if limit := d.Type.MaxStaleness; limit != 0 && d.view.Lease != nil {
		if stale(d.age, limit) {
			return d.fail("type lease", policy.ReplicaStale)
		}
		d.pass("type lease")
	}
	switch d.Key.Status(d.now) {
	case key.Revoked:
		return d.fail("status", policy.KeyRevoked)
	case key.Expired:
		return d.fail("status", policy.KeyExpired)
	case key.Disabled:
		return d.fail("status", policy.KeyDisabled)
	}
	d.pass("status")
	if d.Type.Owner == "" {
		if _, ok := directory.ActivePrincipal(d.view.Directory, d.Key.Principal); !ok {
			return d.fail("principal", policy.PrincipalGone)
		}
		d.pass("principal")
	} else {
		owner, ok := directory.ActiveTenant(d.view.Directory, d.Key.Tenant)
		if !ok {
			return d.fail("tenant status", policy.TenantSuspended)
		}
		d.owner = owner
		d.pass("tenant status")
	}
	return policy.Undecided
}

// authorized finds out what they may do.
func (d *decision) authorized() policy.Reason {
	if !d.clean {
		return d.fail("path", policy.PathAmbiguous)
	}
	if d.Route == nil {
		return d.fail("endpoint", policy.EndpointUnknown)
	}
	d.pass("endpoint")
	if !d.inEnvironment() {
		return d.fail("environment", policy.EnvironmentMismatch)
	}
	d.pass("environment")
	endpoint := d.Route.Endpoint
	if !d.Type.Opens(endpoint) {
		return d.fail("key type", policy.KeyTypeNotAllowed)
	}
	d.pass("key type")
	// The tenant is found first, because a principal's permissions depend on
	// it, and answered last.
	stands := d.stand(endpoint)
	d.Held = d.Place.Policy.Held(d.Type, d.Key, d.Tenant, d.view.Directory)
	if !d.Held.Scopes.Covers(endpoint.Scopes) {
		return d.fail("scopes", policy.ScopeMissing)
	}
	d.pass("scopes")
	if !d.Held.Permissions.Covers(endpoint.Permissions) {
		return d.fail("permissions", policy.PermissionMissing)
	}
	d.pass("permissions")
	if !stands {
		return d.fail("tenant", policy.TenantMismatch)
	}
	d.pass("tenant")
	return policy.Allowed
}

// inEnvironment reports whether the key belongs to where the request was sent.
func (d *decision) inEnvironment() bool {
	if d.Place.Unknown {
		return false
	}
	p := d.Place.Policy
	if p.HasEnvironments() != (d.Key.Environment != "") {
		return false // the policy gained or lost its environments since
	}
	if d.Key.Environment != "" && p.Environment(d.Key.Environment) == nil {
		return false
	}
	return d.Place.Environment == "" || d.Place.Environment == d.Key.Environment
}

// stand finds the tenant, or the tenants, that the request stands in, and
// reports whether the key reaches it.
func (d *decision) stand(e *policy.Endpoint) bool {
	named := d.request.naming(d.Place.Policy, d.Route)
	if named.torn {
		return false
	}
	if named.tenant != "" {
		// Its own was found active before.
		if named.tenant != d.owner.ID && !d.Place.Policy.Reaches(d.Type, d.Key, named.tenant, d.view.Directory) {
			return false
		}
		d.Tenant = named.tenant
	} else {
		reached, few := d.Place.Policy.Reach(d.reached, d.Type, d.Key, d.view.Directory, maxTenantsHeader)
		d.reached = reached[:0]
		switch {
		case !few:
			return false // too many to hand on: the request must name one
		case len(reached) == 1:
			d.Tenant = reached[0]
		case e.NeedsTenant, len(reached) == 0 && !e.NoTenant:
			return false
		default:
			d.Tenants = reached
		}
	}
	if d.Tenant != "" {
		d.Plan = d.planOf(d.Tenant)
	}
	return !e.NeedsTenant || d.Tenant != ""
}

// pass and fail note a step where somebody wants to know.
func (d *decision) pass(check string) {
	if d.trace != nil {
		d.trace.step(d, check, policy.Undecided)
	}
}

func (d *decision) fail(check string, r policy.Reason) policy.Reason {
	if d.trace != nil {
		d.trace.step(d, check, r)
	}
	return r
}
