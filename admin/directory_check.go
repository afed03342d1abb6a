package admin

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/internal/plural"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
)

// declared is what the policies in use together say of a tenant kind. Several
// may declare one kind: a tenant is theirs in common.
type declared struct {
	anyPlan     bool
	plans       []string
	parents     []string // kinds; an empty one: no parent
	roles       []string
	permissions []string
}

// declares returns what is said of a kind, and nil if nothing.
func (w World) declares(kind string) *declared {
	var d *declared
	for _, name := range w.Policies.names() {
		p := w.Policies.Policy(name)
		k := p.Kind(kind)
		if k == nil {
			continue
		}
		if d == nil {
			d = &declared{}
		}
		d.anyPlan = d.anyPlan || len(k.Plans) == 0
		d.plans = append(d.plans, k.Plans...)
		d.parents = append(d.parents, k.Parent)
		d.roles = slices.AppendSeq(d.roles, maps.Keys(k.Roles))
		everything := p.Holds("", "", w.Directory).Permissions // of the operator
		d.permissions = append(d.permissions, p.PermissionNames(everything)...)
	}
	if d != nil {
		for _, list := range []*[]string{&d.plans, &d.parents, &d.roles, &d.permissions} {
			slices.Sort(*list)
			*list = slices.Compact(*list)
		}
	}
	return d
}

// kind returns what is said of the kind of a tenant, and notes at a place if
// nothing is.
func (a *apply) kind(place, tenant string) *declared {
	kind := directory.Kind(tenant)
	d := a.declares(kind)
	if d == nil {
		var kinds []string
		for _, name := range a.Policies.names() {
			kinds = append(kinds, a.Policies.Policy(name).Kinds()...)
		}
		slices.Sort(kinds)
		a.wrong.invalid("%s: no policy declares tenants of the kind %q: %s", place, kind, nearest(kind, slices.Compact(kinds)))
	}
	return d
}

func (a *apply) checkTenant(t *directory.Tenant) {
	place := "tenants: " + t.ID
	d := a.kind(place, t.ID)
	if d == nil {
		return
	}
	if t.Plan != "" && !d.anyPlan && !slices.Contains(d.plans, t.Plan) {
		a.wrong.invalid("%s: plan: no policy declares the plan %s for a %s: %s", place, a.quote(t.Plan), directory.Kind(t.ID), nearest(t.Plan, d.plans))
	}
	switch kind := directory.Kind(t.Parent); {
	case slices.Contains(d.parents, kind):
	case t.Parent == "":
		a.wrong.invalid("%s: parent: it is missing: name a tenant of the kind %s", place, strings.Join(d.parents, " or "))
	case len(d.parents) == 1 && d.parents[0] == "":
		a.wrong.invalid("%s: parent: a %s has no parent: leave it out", place, directory.Kind(t.ID))
	default:
		a.wrong.invalid("%s: parent: %s is of the wrong kind: name a tenant of the kind %s", place, a.quote(t.Parent), strings.Join(d.parents, " or "))
	}
}

func (a *apply) checkPrincipal(p *directory.Principal) {
	for _, tenant := range slices.Sorted(maps.Keys(p.Memberships)) {
		place := "principals: " + p.ID + ": memberships: " + tenant
		if d := a.kind(place, tenant); d != nil && !slices.Contains(d.roles, p.Memberships[tenant]) {
			a.wrong.invalid("%s: no policy declares the role %s for a %s: %s", place, a.quote(p.Memberships[tenant]), directory.Kind(tenant), nearest(p.Memberships[tenant], d.roles))
		}
	}
	for _, tenant := range slices.Sorted(maps.Keys(p.Permissions)) {
		place := "principals: " + p.ID + ": permissions: " + tenant
		d := a.kind(place, tenant)
		if d == nil {
			continue
		}
		for i, permission := range p.Permissions[tenant] {
			switch {
			case slices.Contains(p.Permissions[tenant][:i], permission):
				a.wrong.invalid("%s: %s is named twice: take one out", place, a.quote(permission))
			case !slices.Contains(d.permissions, permission):
				a.wrong.invalid("%s: no policy declares the permission %s: %s", place, a.quote(permission), nearest(permission, d.permissions))
			}
		}
	}
}

// hanging is how keys hang on an object, and on which.
type hanging struct {
	how int
	on  string
}

const (
	owned   = iota // they belong to it
	bounded        // they hold no more than it does
)

// checkHanging returns ErrUnfit where live keys belong to what shall be removed, or
// are bounded by it. It says how many, object by object.
func (s *Server) checkHanging(l *lookup, tenants, principals []string) error {
	if len(tenants)+len(principals) == 0 {
		return nil
	}
	gone := map[string]bool{}
	for _, id := range slices.Concat(tenants, principals) {
		gone[id] = true
	}
	count := map[hanging]int{}
	s.ledger.Facts(func(r *key.Facts) bool {
		if !r.Live(l.Now) {
			return true
		}
		for _, id := range []string{r.Tenant, r.Principal} {
			if id != "" && gone[id] {
				count[hanging{owned, id}]++
			}
		}
		if r.Creator != "" && gone[r.Creator] && l.bounds(r) {
			count[hanging{bounded, r.Creator}]++
		}
		return true
	})
	var wrong mistakes
	for _, hangs := range slices.SortedFunc(maps.Keys(count), func(a, b hanging) int { return cmp.Or(cmp.Compare(a.how, b.how), cmp.Compare(a.on, b.on)) }) {
		n := count[hangs]
		how := plural.Pick(n, "belongs to", "belong to")
		if hangs.how == bounded {
			how = plural.Pick(n, "holds", "hold") + " no more than " + plural.Pick(n, "its", "their") + " creator"
		}
		wrong.add(unfit("prune: %s %s %s: name it in the file, revoke or hand over the keys, or force the removal (--force)", plural.Count(n, "live key"), how, hangs.on))
	}
	return wrong.err()
}

// bounds reports whether a key depends on its creator: by its ceiling, or
// because endpoints may ask the creator for permissions.
func (w World) bounds(r *key.Facts) bool {
	var t *policy.KeyType
	if p := w.Policies.Policy(r.Policy); p != nil {
		t = p.Type(r.Type)
	}
	return t != nil && t.Owner != "" && (t.Ceiling || t.Grant != policy.ByRole && w.Policies.Policy(r.Policy).HasPermissions())
}
