package admin

import (
	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
	"github.com/latchkey/latchkey/policyfile"
)

// Permit returns nil where the caller may do the action (one of
// policyfile.Actions) to the key, and otherwise ErrRefused with what the
// policy tells the refused. The operator may do everything. A principal must
// be there and active and no stranger to the key's owner, and every rule that
// names the action must say yes; a rule that can't be answered says no. Where
// none names it, a person's key is that person's alone.
//
// That system keys are the operator's is not asked here: see create and change.
func (w World) Permit(caller Caller, action string, r *key.Record) error {
	if caller.Acting == "" {
		return nil
	}
	if err := w.acting(caller); err != nil {
		return err
	}
	p, t, err := w.typeOf(r)
	if err != nil {
		return refused("who may %s this key is not known: %s", action, err)
	}
	rules := w.Policies.one[r.Policy].rules
	if err := rules.Permits(r.Type, w.ruleInput(p, t, caller, action, r)); err != nil {
		return refused("%s may not %s this key: %s", caller.Acting, action, err)
	}
	if w.stranger(p, caller.Acting, r) {
		return refused("%s may not %s this key: the directory says nothing of them in %s: give them a role or a permission there, or act for somebody who does", caller.Acting, action, r.Tenant)
	}
	// A person's key stands in no tenant to which the caller could be a stranger.
	if r.Tenant == "" && r.Principal != caller.Acting && !rules.Ask(r.Type, action) {
		return refused("%s may not %s this key: it belongs to %s, and no management rule of its type says who else may: act for them, or add one", caller.Acting, action, r.Principal)
	}
	return nil
}

// stranger reports whether a principal has nothing to do with the tenant that
// owns a key: the directory gives them no role there and lists no permissions,
// not even none. A policy that declares neither can't say who belongs to a
// tenant, and leaves it to its rules.
func (w World) stranger(p *policy.Policy, principal string, r *key.Record) bool {
	kind := p.Kind(directory.Kind(r.Tenant))
	if r.Tenant == "" || kind == nil || len(kind.Roles) == 0 && !p.HasPermissions() {
		return false
	}
	who, _ := w.Directory.Principal(principal)
	return !who.Member(r.Tenant) && !who.Listed(r.Tenant)
}

// acting returns an error unless the acting principal is there and active.
func (w World) acting(caller Caller) error {
	if caller.Acting == "" {
		return nil
	}
	return w.activePrincipal("the acting principal", caller.Acting)
}

func (w World) activePrincipal(what, id string) error {
	switch who, ok := w.Directory.Principal(id); {
	case !ok:
		return refused("%s %s isn't in the directory: apply it first, or correct the name", what, w.quote(id))
	case who.Suspended():
		return refused("%s %s is suspended: apply it with the status active first", what, id)
	}
	return nil
}

func (w World) ruleInput(p *policy.Policy, t *policy.KeyType, caller Caller, action string, r *key.Record) policyfile.RuleInput {
	in := policyfile.RuleInput{
		Action: action,
		Caller: policyfile.Caller{ID: caller.Acting},
		Key: policyfile.Key{
			ID: r.ID, Policy: r.Policy, Type: r.Type, Environment: r.Environment,
			Tenant: r.Tenant, Principal: r.Principal, Creator: r.Creator,
			Role: r.Role, Scopes: scopesOf(p, t, r), Name: r.Name, System: r.System,
		},
	}
	if r.Tenant == "" {
		return in // a principal's key stands in no tenant, so nobody has a role there
	}
	who, _ := w.Directory.Principal(caller.Acting)
	in.Caller.Role, _ = who.Role(r.Tenant)
	in.Caller.Permissions = p.PermissionNames(p.Holds(caller.Acting, r.Tenant, w.Directory).Permissions)
	if tenant, ok := w.Directory.Tenant(r.Tenant); ok {
		in.Tenant = policyfile.Tenant{ID: tenant.ID, Kind: directory.Kind(tenant.ID), Plan: tenant.Plan, Status: "active", Parent: tenant.Parent}
		if !directory.Active(w.Directory, tenant.ID) {
			in.Tenant.Status = "suspended"
		}
	}
	return in
}
