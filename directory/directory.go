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

import "strings"

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

// Reader looks up the directory of one revision, and tells whether a name is
// there. Implementations don't block, and don't allocate where they are asked
// by a check.
type Reader interface {
	Tenant(id string) (Tenant, bool)
	Principal(id string) (Person, bool)
}

// Active reports whether the tenant may be reached: see ActiveTenant.
func Active(r Reader, id string) bool {
	_, ok := ActiveTenant(r, id)
	return ok
}

// ActiveTenant returns the tenant, and whether it may be reached: it is there,
// it isn't suspended, and neither is an ancestor or missing.
func ActiveTenant(r Reader, id string) (tenant Tenant, ok bool) {
	tenant, ok = r.Tenant(id)
	at := tenant
	for range MaxDepth + 1 {
		if !ok || at.Suspended {
			return tenant, false
		}
		if at.Parent == "" {
			return tenant, true
		}
		at, ok = r.Tenant(at.Parent)
	}
	return tenant, false // a chain that is too long to have been admitted
}

// ActivePrincipal returns the principal, and whether it is there and isn't
// suspended.
func ActivePrincipal(r Reader, id string) (Person, bool) {
	p, ok := r.Principal(id)
	return p, ok && !p.Suspended()
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
