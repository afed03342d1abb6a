package policy

import (
	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
)

// Holder is what is held now by a key, or by a principal in a tenant.
type Holder struct {
	Scopes      Set
	Permissions Set
}

// Granted returns the scopes that a key was given, before its ceiling, with
// what they imply: those of its type, those that were chosen, or those of its
// role. A scope or role that the policy no longer has grants nothing.
func (p *Policy) Granted(t *KeyType, r *key.Facts) Set {
	switch t.Grant {
	case Chosen:
		chosen, _ := p.ScopeSet(r.Scopes)
		return p.closure(chosen.And(t.Scopes))
	case ByRole:
		if role := t.Roles[r.Role]; role != nil {
			return role.Scopes
		}
		return Set{}
	}
	return t.Scopes
}

// Holds returns what a principal holds in a tenant now: the scopes of its
// role there, and those whose every required permission it has; permissions
// of the role and those listed for it. One who is gone or suspended holds
// nothing. The empty principal is the operator, who holds everything.
func (p *Policy) Holds(principal, tenant string, dir directory.Reader) Holder {
	if principal == "" {
		return p.everything
	}
	var h Holder
	who, ok := directory.ActivePrincipal(dir, principal)
	if !ok {
		return h
	}
	var byRole Set
	if kind := p.kinds[directory.Kind(tenant)]; kind != nil {
		if name, member := who.Role(tenant); member {
			if role := kind.Roles[name]; role != nil {
				byRole, h.Permissions = role.Scopes, role.Permissions
			}
		}
	}
	for name := range who.Permissions(tenant) {
		if i, ok := p.permissions.index[name]; ok {
			h.Permissions = h.Permissions.With(i)
		}
	}
	for i, required := range p.requires {
		if !h.Permissions.Covers(required) {
			continue
		}
		if byRole.Has(i) || !required.Empty() {
			h.Scopes = h.Scopes.With(i)
		}
	}
	return h
}

// Held returns what a key holds now in a tenant: what it was given, cut by
// its ceiling. The permissions are those of its role, if it carries one, and
// of whoever answers for it: the creator in the key's own tenant, or the
// principal that owns it in the tenant of the request.
func (p *Policy) Held(t *KeyType, r *key.Facts, tenant string, dir directory.Reader) Holder {
	h := Holder{Scopes: p.Granted(t, r)}
	if t.Grant == ByRole {
		if role := t.Roles[r.Role]; role != nil {
			h.Permissions = role.Permissions
		}
		if !t.Ceiling {
			return h
		}
	}
	switch {
	case t.Owner == "":
		if r.Principal != "" { // else its type had another owner once; nobody is not the operator
			h.Permissions = p.Holds(r.Principal, tenant, dir).Permissions
		}
	default:
		creator := p.Holds(r.Creator, r.Tenant, dir)
		if t.Ceiling {
			h.Scopes = h.Scopes.And(creator.Scopes)
		}
		if t.Grant == ByRole {
			h.Permissions = h.Permissions.And(creator.Permissions)
		} else {
			h.Permissions = creator.Permissions
		}
	}
	return h
}

// Reaches reports whether a key reaches a tenant now: its own, a child of its
// own where the type says so, or, for a principal's key, one where the
// principal holds a listed role. No key reaches a tenant that is suspended,
// has a suspended ancestor, or isn't there.
func (p *Policy) Reaches(t *KeyType, r *key.Facts, tenant string, dir directory.Reader) bool {
	if !directory.Active(dir, tenant) {
		return false
	}
	if t.Owner == "" {
		who, ok := directory.ActivePrincipal(dir, r.Principal)
		roles := t.memberRoles[directory.Kind(tenant)]
		return ok && len(roles) > 0 && who.Member(tenant, roles...)
	}
	if tenant == r.Tenant {
		return true
	}
	if r.Tenant == "" || !t.childKind[directory.Kind(tenant)] {
		return false
	}
	child, ok := dir.Tenant(tenant)
	return ok && child.Parent == r.Tenant
}

// Reach appends the tenants that a key reaches when a request names none: its
// own, or every one that its principal reaches now, sorted. It gives up, and
// returns false, once their names joined by commas are longer than limit, so
// that nobody's memberships make a check slow.
func (p *Policy) Reach(to []string, t *KeyType, r *key.Facts, dir directory.Reader, limit int) ([]string, bool) {
	if t.Owner != "" {
		return append(to, r.Tenant), true
	}
	who, ok := directory.ActivePrincipal(dir, r.Principal)
	if !ok {
		return to, true
	}
	length := -1
	for tenant := range who.Memberships() {
		if p.Reaches(t, r, tenant, dir) {
			if length += 1 + len(tenant); length > limit {
				return to, false
			}
			to = append(to, tenant)
		}
	}
	return to, true
}

// closure returns the set with everything that its scopes imply.
func (p *Policy) closure(s Set) Set { return closure(p.implied, s) }
