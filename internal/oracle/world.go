package oracle

import "time"

// World is everything a decision depends on besides the request: all keys, the
// directory, and the time.
type World struct {
	Keys       []Key
	Tenants    map[string]Tenant    // by whole name, "team:t_1"
	Principals map[string]Principal // by whole name, "user:ada"
	Now        time.Time
}

// Key is one issued key.
type Key struct {
	Name        string // the fixture's own name for it; plays no part in a decision
	ID          string
	Token       string // the current token
	Policy      string // kodey, cuneiform, spotzee or shortkit
	Type        string
	Environment string // live, test, or "" where the policy has none
	Tenant      string // "team:t_1"; "" for a user key
	Principal   string // the owner of a user key
	Creator     string // "" means the operator
	Role        string
	Scopes      []string
	Expires     time.Time // zero: never. Exclusive: at this instant it is expired
	Revoked     bool
	Disabled    bool
	OldTokens   []OldToken
}

// OldToken is a token that rotation has replaced. It works until Until, and
// with a zero Until not at all.
type OldToken struct {
	Token string
	Until time.Time
}

// Tenant is who owns keys and data.
type Tenant struct {
	Parent    string
	Plan      string
	Suspended bool
}

// Principal is a person. Memberships maps a tenant to a role, Permissions a
// tenant to what the person may do there.
type Principal struct {
	Memberships map[string]string
	Permissions map[string][]string
	Suspended   bool
}

// tenantActive says whether the tenant exists, and neither it nor any ancestor
// is suspended. A tenant that nobody declared is not active, nor is one whose
// parents lead in a circle.
func (w *World) tenantActive(name string) bool {
	for range 32 {
		t, ok := w.Tenants[name]
		if !ok || t.Suspended {
			return false
		}
		if t.Parent == "" {
			return true
		}
		name = t.Parent
	}
	return false
}

// principalActive says whether the person exists and is not suspended.
func (w *World) principalActive(name string) bool {
	p, ok := w.Principals[name]
	return ok && !p.Suspended
}

// roleIn is the role that an active person has in a tenant, "" for none.
func (w *World) roleIn(principal, tenant string) string {
	if !w.principalActive(principal) {
		return ""
	}
	return w.Principals[principal].Memberships[tenant]
}

// mayIn says whether an active person has a permission in a tenant. Listed
// permissions count without a membership; none of the four systems gives
// permissions to a role.
func (w *World) mayIn(principal, tenant, permission string) bool {
	if !w.principalActive(principal) {
		return false
	}
	return contains(w.Principals[principal].Permissions[tenant], permission)
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
