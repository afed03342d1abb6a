package directory

import (
	"fmt"

	"google.golang.org/protobuf/types/known/structpb"

	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
)

// The words for a status in files and messages. An empty one is active.
const (
	statusActive    = "active"
	statusSuspended = "suspended"
)

// ToProto returns the stored form.
func (t *Tenant) ToProto() *directoryv1.Tenant {
	return &directoryv1.Tenant{Id: t.ID, Parent: t.Parent, Plan: t.Plan, Status: status(t.Suspended), Revision: t.Revision}
}

// TenantFromProto reads the stored form or an object of a file.
func TenantFromProto(p *directoryv1.Tenant) (*Tenant, error) {
	suspended, err := parseStatus(p.GetStatus())
	if err != nil {
		return nil, prefix("tenants", p.GetId(), err)
	}
	t := &Tenant{ID: p.GetId(), Parent: p.GetParent(), Plan: p.GetPlan(), Suspended: suspended, Revision: p.GetRevision()}
	return t, t.Check()
}

// ToProto returns the stored form.
func (p *Principal) ToProto() *directoryv1.Principal {
	out := &directoryv1.Principal{Id: p.ID, Memberships: p.Memberships, Status: status(p.Suspended), Revision: p.Revision}
	for tenant, permissions := range p.Permissions {
		list := &structpb.ListValue{}
		for _, permission := range permissions {
			list.Values = append(list.Values, structpb.NewStringValue(permission))
		}
		if out.Permissions == nil {
			out.Permissions = map[string]*structpb.ListValue{}
		}
		out.Permissions[tenant] = list
	}
	return out
}

// PrincipalFromProto reads the stored form or an object of a file.
func PrincipalFromProto(p *directoryv1.Principal) (*Principal, error) {
	suspended, err := parseStatus(p.GetStatus())
	if err != nil {
		return nil, prefix("principals", p.GetId(), err)
	}
	out := &Principal{ID: p.GetId(), Memberships: p.GetMemberships(), Suspended: suspended, Revision: p.GetRevision()}
	for tenant, list := range p.GetPermissions() {
		var permissions []string
		for _, v := range list.GetValues() {
			s, ok := v.GetKind().(*structpb.Value_StringValue)
			if !ok {
				return nil, fmt.Errorf("principals: %s: permissions in %s must be strings", clip(p.GetId()), clip(tenant))
			}
			permissions = append(permissions, s.StringValue)
		}
		if out.Permissions == nil {
			out.Permissions = map[string][]string{}
		}
		out.Permissions[tenant] = permissions
	}
	return out, out.Check()
}

func status(suspended bool) string {
	if suspended {
		return statusSuspended
	}
	return statusActive
}

func parseStatus(text string) (suspended bool, err error) {
	switch text {
	case "", statusActive:
		return false, nil
	case statusSuspended:
		return true, nil
	}
	return false, fmt.Errorf("status %q: write %s or %s", clip(text), statusActive, statusSuspended)
}
