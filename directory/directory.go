// Package directory is the vocabulary of who keys belong to: tenants, the
// principals who work in them, and what a principal holds in a tenant now.
// Like package key it has no I/O and no clock.
//
// A name has two parts, `kind:name` (team:t_1, user:ada), each of
// [A-Za-z0-9._~-], the name at most 128 characters. A tenant's kind is
// declared by a policy; a principal's is free text.
//
// Tenants and principals are values to read: whoever holds one from a store
// must not change it.
package directory

import (
	"slices"
	"strings"
)

// MaxDepth is how many ancestors a tenant may have.
const MaxDepth = 8

// Tenant owns keys and data.
type Tenant struct {
	ID        string // kind:name
	Parent    string // empty for none
	Plan      string // empty for none
	Suspended bool
	Revision  uint64 // at which it last changed
}

// Principal is a person.
type Principal struct {
	ID          string
	Memberships map[string]string   // role by tenant
	Permissions map[string][]string // by tenant, beside those of the role
	Suspended   bool
	Revision    uint64 // at which it last changed
}

// Reader looks up the directory of one revision. A name that isn't there is
// answered with nil. Implementations don't block.
type Reader interface {
	Tenant(id string) *Tenant
	Principal(id string) *Principal
}

// Active reports whether the tenant may be reached: it is there, it isn't
// suspended, and neither is an ancestor or missing.
func Active(r Reader, id string) bool {
	for range MaxDepth + 1 {
		t := r.Tenant(id)
		if t == nil || t.Suspended {
			return false
		}
		if t.Parent == "" {
			return true
		}
		id = t.Parent
	}
	return false // a chain that is too long to have been admitted
}

// ActivePrincipal returns the principal if it is there and isn't suspended,
// and nil otherwise.
func ActivePrincipal(r Reader, id string) *Principal {
	p := r.Principal(id)
	if p == nil || p.Suspended {
		return nil
	}
	return p
}

// Member reports whether the principal has a role in the tenant, one of the
// given ones if any are given.
func (p *Principal) Member(tenant string, roles ...string) bool {
	role, ok := p.Memberships[tenant]
	return ok && (len(roles) == 0 || slices.Contains(roles, role))
}

// Kind returns the part of a name before the colon.
func Kind(id string) string {
	kind, _, _ := strings.Cut(id, ":")
	return kind
}

// Name returns the part of a name after the colon.
func Name(id string) string {
	_, name, _ := strings.Cut(id, ":")
	return name
}
