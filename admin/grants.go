package admin

import (
	"fmt"
	"slices"
	"strings"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// grants checks the role and the scopes that a key shall have.
func (w World) grants(d *drafted, f *adminv1.KeyFields) {
	role := f.GetRole()
	if role == "" {
		role = d.keyType.DefaultRole
	}
	d.wrong.add(w.role(d.policy, d.keyType, role))
	d.record.Role = role
	d.wrong.add(w.chosen(d.policy, d.keyType, f.GetScopes()))
	d.record.Scopes = sorted(f.GetScopes())
}

// role checks the role of a key.
func (w World) role(p *policy.Policy, t *policy.KeyType, role string) error {
	var known []string
	for name := range t.Roles {
		known = append(known, name)
	}
	slices.Sort(known)
	switch {
	case t.Grant != policy.ByRole && role != "":
		return invalid("role: keys of the type %s carry no role: leave it out", t.Name)
	case t.Grant == policy.ByRole && role == "":
		return invalid("role: keys of the type %s carry a role: name one of %s (--role)", t.Name, strings.Join(known, ", "))
	case t.Grant == policy.ByRole && t.Roles[role] == nil:
		return invalid("role: the policy %s has no role %s for a %s: %s", p.Name(), w.quote(role), t.Owner, nearest(role, known))
	}
	return nil
}

// maxScopes is the most scopes that a request may name.
const maxScopes = 256

// chosen checks scopes that are chosen, and names each that can't be.
func (w World) chosen(p *policy.Policy, t *policy.KeyType, scopes []string) error {
	if t.Grant != policy.Chosen {
		if len(scopes) > 0 {
			named := make([]string, min(len(scopes), maxScopes))
			for i := range named {
				named[i] = w.quote(scopes[i])
			}
			return invalid("scopes: %s can't be chosen: those of the type %s come with its type or role: leave them out", strings.Join(named, ", "), t.Name)
		}
		return nil
	}
	if len(scopes) > maxScopes {
		return invalid("scopes: %d are more than the %d that a policy may have: name each once", len(scopes), maxScopes)
	}
	var wrong mistakes
	grantable := p.ScopeNames(t.Scopes)
	for i, scope := range scopes {
		switch {
		case slices.Contains(scopes[:i], scope):
			wrong.invalid("scopes: %s is named twice: take one out", w.quote(scope))
		case !slices.Contains(grantable, scope):
			wrong.invalid("scopes: %s can't be granted to keys of the type %s: %s", w.quote(scope), t.Name, nearest(scope, grantable))
		}
	}
	return wrong.err()
}

// bounded checks, for types with the ceiling `creator`, that a principal holds
// now what a key is granted beyond what it had before. The empty principal is
// the operator, who holds everything.
func (w World) bounded(p *policy.Policy, t *policy.KeyType, r *key.Record, before policy.Set, who, principal string) error {
	if !t.Ceiling || principal == "" {
		return nil
	}
	held := p.Holds(principal, r.Tenant, w.Directory)
	missing := p.ScopeNames(p.Granted(t, r.Facts()).Minus(before).Minus(held.Scopes))
	if len(missing) == 0 {
		return nil
	}
	for i, scope := range missing {
		if lacks := p.PermissionNames(p.Requires(scope).Minus(held.Permissions)); len(lacks) > 0 {
			missing[i] = fmt.Sprintf("%s (it lacks %s)", scope, strings.Join(lacks, ", "))
		}
	}
	return refused("scopes: %s %s doesn't hold, in %s: %s: grant less, or give the principal more first",
		who, principal, r.Tenant, strings.Join(missing, ", "))
}

// outranked returns an error where a key could do more in its tenant now than
// the acting principal could: scopes, for types with the ceiling `creator`,
// and permissions.
func (w World) outranked(p *policy.Policy, t *policy.KeyType, r *key.Record, caller Caller) error {
	if caller.Acting == "" || r.Tenant == "" {
		return nil
	}
	can, has := p.Held(t, r.Facts(), r.Tenant, w.Directory), p.Holds(caller.Acting, r.Tenant, w.Directory)
	more := p.PermissionNames(can.Permissions.Minus(has.Permissions))
	if t.Ceiling {
		more = append(p.ScopeNames(can.Scopes.Minus(has.Scopes)), more...)
	}
	if len(more) == 0 {
		return nil
	}
	return refused("this key can do more than %s can in %s: %s: let somebody do it who holds that, or the operator",
		caller.Acting, r.Tenant, strings.Join(more, ", "))
}

func sorted(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return out
}
