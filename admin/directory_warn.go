package admin

import (
	"fmt"
	"maps"
	"slices"

	"github.com/latchkey/latchkey/directory"
	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
)

// maxWarnings is how many warnings are told.
const maxWarnings = 100

// warn says what of the objects that were named is probably a mistake. It may be none: a tenant may be applied by another
// file, and any kind may be that of principals.
func (a *apply) warn(d *directoryv1.Directory) {
	for _, p := range d.GetPrincipals() {
		place := "principals: " + p.GetId()
		if kind := directory.Kind(p.GetId()); a.declares(kind) != nil {
			a.warning("%s: policies declare tenants of the kind %q: put it under tenants if it is one", place, kind)
		}
		a.absentTenants(place+": memberships: ", slices.Sorted(maps.Keys(p.GetMemberships())))
		a.absentTenants(place+": permissions: ", slices.Sorted(maps.Keys(p.GetPermissions())))
	}
}

// absentTenants warns of those tenants that won't be there.
func (a *apply) absentTenants(place string, tenants []string) {
	for _, id := range tenants {
		if a.next.tenants[id] == nil {
			a.warning("%s%s: there is no such tenant, so it opens nothing yet: apply the tenant too, or correct the name", place, id)
		}
	}
}

func (a *apply) warning(format string, args ...any) {
	if len(a.response.Warnings) < maxWarnings {
		a.response.Warnings = append(a.response.Warnings, fmt.Sprintf(format, args...))
	}
}
