package authz

import (
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
)

// Verdict is a decision and what it was made of. Fields are filled as far as
// the decision came.
type Verdict struct {
	Reason   policy.Reason
	Place    policy.Place    // whose request it is
	Key      *key.Facts      // the key that was presented, if it is known to the policy
	Type     *policy.KeyType // its type
	Route    *policy.Route   // what method and path mean; answered only after who is asking
	Tenant   string          // the one tenant that the request stands in
	Tenants  []string        // those that it may stand in, where it names none and there are several
	Held     policy.Holder   // what the key holds now
	Plan     string          // of the tenant
	Revision uint64
}

// Endpoint returns the endpoint that the route belongs to, or nil.
func (v *Verdict) Endpoint() *policy.Endpoint {
	if v.Route == nil {
		return nil
	}
	return v.Route.Endpoint
}
