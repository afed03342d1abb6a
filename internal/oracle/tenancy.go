package oracle

import (
	"sort"
	"strings"
)

// tenantHeaders are the headers that name a tenant, with the kind they name.
var tenantHeaders = map[string]struct{ name, kind string }{
	"kodey":    {"x-team-id", "team"},
	"shortkit": {"x-organization-id", "org"},
}

const maxTenants = 4 << 10

// tenancy is where a request stands: one verified tenant, or for a user key
// that reaches several and names none, all of them.
type tenancy struct {
	one     string
	several []string
}

// tenancyOf verifies every filled place. ok is false for TENANT_MISMATCH.
func (w *World) tenancyOf(k Key, a access, r Request) (t tenancy, ok bool) {
	var named []string
	if place, has := tenantHeaders[k.Policy]; has {
		value := r.joined(place.name)
		if strings.Contains(value, ",") {
			return t, false // it holds a comma or was sent twice, and so names no tenant
		}
		if value != "" {
			named = append(named, place.kind+":"+value)
		}
	}
	if a.tenant != "" {
		named = append(named, a.tenant)
	}
	for _, n := range named {
		if n != named[0] || !w.reaches(k, n) {
			return t, false
		}
	}
	switch {
	case len(named) > 0:
		t.one = named[0]
	case !k.isUserKey():
		t.one = k.Tenant
	default:
		all := w.allReached(k)
		if len(all) == 0 && !a.tenantless {
			return t, false
		}
		if len(all) == 1 {
			t.one = all[0]
		} else {
			t.several = all
		}
		if len(strings.Join(t.several, ",")) > maxTenants {
			return t, false
		}
	}
	return t, true
}

// reaches says whether a key reaches a tenant: its own, a child of its own for
// an organisation key of spotzee, or one where its user holds a listed role.
func (w *World) reaches(k Key, tenant string) bool {
	switch {
	case k.isUserKey():
		return w.kodeyReaches(k.Principal, tenant)
	case tenant == k.Tenant:
		return w.tenantActive(tenant)
	case k.Policy == "spotzee":
		return w.spotzeeChild(k, tenant)
	}
	return false
}

// allReached is every tenant that a user key reaches, sorted by byte.
func (w *World) allReached(k Key) []string {
	var all []string
	for tenant := range w.Principals[k.Principal].Memberships {
		if strings.HasPrefix(tenant, "team:") && w.kodeyReaches(k.Principal, tenant) {
			all = append(all, tenant)
		}
	}
	sort.Strings(all)
	return all
}
