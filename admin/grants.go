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

// chosen checks scopes that are chosen, and names each that can't be.
func (w World) chosen(p *policy.Policy, t *policy.KeyType, scopes []string) error {
	if t.Grant != policy.Chosen {
		if len(scopes) > 0 {
			return invalid("scopes: those of the type %s aren't chosen, they come with its type or role: leave them out", t.Name)
		}
		return nil
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
	missing := p.ScopeNames(p.Granted(t, r).Minus(before).Minus(held.Scopes))
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

func sorted(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return out
}
