package admin

import (
	"cmp"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// opens reports whether a key opens an endpoint, and which permissions it takes
// of whoever answers for it. What that person holds now isn't looked at.
func opens(p *policy.Policy, t *policy.KeyType, f *key.Facts, e *policy.Endpoint) (permissions []string, ok bool) {
	switch {
	case e == nil:
		return nil, false
	case e.Public:
		return nil, true
	case t == nil || !t.Opens(e) || !p.Granted(t, f).Covers(e.Scopes):
		return nil, false
	case t.Grant == policy.ByRole:
		role := t.Roles[f.Role]
		return nil, role != nil && role.Permissions.Covers(e.Permissions)
	}
	return p.PermissionNames(e.Permissions), true
}

// change is what becomes of the access of one key to one endpoint.
func (d *difference) change(name string, f *key.Facts, t turn) (gained, lost, changed bool, permissions []string) {
	before, could := opens(d.old, d.old.Type(name), f, t.old)
	after, can := opens(d.next, d.next.Type(name), f, t.next)
	switch {
	case can && !could:
		return true, false, false, after
	case could && !can:
		return false, true, false, before
	}
	return false, false, can && !slices.Equal(before, after), after
}

// access returns what changes for keys of a type, by what it hangs on.
func (d *difference) access(name string) []*adminv1.AccessDifference {
	var all []*adminv1.AccessDifference
	told := map[int][]*key.Facts{} // by turn: for whom it was told already
	holders := d.holders(name)
	for _, f := range holders {
		a := &adminv1.AccessDifference{Role: f.Role, Scopes: f.Scopes}
		for i, t := range d.turns {
			gained, lost, changed, permissions := d.change(name, f, t)
			if !gained && !lost && !changed || slices.ContainsFunc(told[i], func(less *key.Facts) bool { return covers(f, less) }) {
				continue
			}
			told[i] = append(told[i], f)
			into, endpoint := &a.Gained, t.next
			if lost {
				into, endpoint = &a.Lost, t.old
			} else if changed {
				into = &a.Changed
			}
			for _, r := range t.routes {
				*into = append(*into, &adminv1.RouteDifference{Method: r.method, Path: r.path, Endpoint: endpoint.Name, Permissions: permissions})
			}
		}
		if len(a.Gained)+len(a.Lost)+len(a.Changed) > 0 {
			for _, list := range [][]*adminv1.RouteDifference{a.Gained, a.Lost, a.Changed} {
				slices.SortStableFunc(list, func(x, y *adminv1.RouteDifference) int { return cmp.Compare(x.Path, y.Path) })
			}
			all = append(all, a)
		}
	}
	return ofAll(all, len(holders))
}

// covers reports whether a key holds the scopes of another, and maybe more.
func covers(f, less *key.Facts) bool {
	return f.Role == less.Role && !slices.ContainsFunc(less.Scopes, func(s string) bool { return !slices.Contains(f.Scopes, s) })
}

// ofAll tells what is so with every role once, for all keys of the type.
func ofAll(all []*adminv1.AccessDifference, holders int) []*adminv1.AccessDifference {
	if len(all) < 2 || len(all) != holders {
		return all
	}
	one := proto.Clone(all[0]).(*adminv1.AccessDifference)
	one.Role, one.Scopes = "", nil
	for _, a := range all {
		other := proto.Clone(a).(*adminv1.AccessDifference)
		if other.Role, other.Scopes = "", nil; len(a.Scopes) > 0 || !proto.Equal(one, other) {
			return all
		}
	}
	return []*adminv1.AccessDifference{one}
}

// holders are the keys of a type that differ in what they may open: by role, or
// by the scopes that were chosen, those that an endpoint asks for together
// among them. The fewest scopes come first.
func (d *difference) holders(name string) []*key.Facts {
	var all []*key.Facts
	seen := func(f *key.Facts) bool {
		return slices.ContainsFunc(all, func(o *key.Facts) bool { return o.Role == f.Role && slices.Equal(o.Scopes, f.Scopes) })
	}
	add := func(f *key.Facts) {
		if !seen(f) {
			all = append(all, f)
		}
	}
	old, next := d.old.Type(name), d.next.Type(name)
	if old == nil || next == nil || old.Grant != policy.ByRole || next.Grant != policy.ByRole {
		add(&key.Facts{})
	}
	for _, one := range []struct {
		p *policy.Policy
		t *policy.KeyType
	}{{d.old, old}, {d.next, next}} {
		switch {
		case one.t == nil:
		case one.t.Grant == policy.ByRole:
			for _, role := range sortedRoles(one.t) {
				add(&key.Facts{Role: role})
			}
		case one.t.Grant == policy.Chosen:
			for _, scope := range one.p.ScopeNames(one.t.Scopes) {
				add(&key.Facts{Scopes: []string{scope}})
			}
			for _, e := range one.p.Endpoints() {
				if names := one.p.ScopeNames(e.Scopes); len(names) > 1 && one.t.Scopes.Covers(e.Scopes) {
					add(&key.Facts{Scopes: names})
				}
			}
		}
	}
	slices.SortStableFunc(all, func(a, b *key.Facts) int { return cmp.Compare(len(a.Scopes), len(b.Scopes)) })
	return all
}
