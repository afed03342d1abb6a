package policyfile

import (
	"encoding/json"
	"slices"

	"github.com/latchkey/latchkey/policy"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

// Table is what keys of a policy open, as the documentation of the API prints
// it: endpoints by key types, and scopes by what they unlock where scopes are
// chosen when a key is made. The order is the document's throughout.
type Table struct {
	Policy    string         `json:"policy"`
	Types     []TableType    `json:"types"`
	Endpoints []TableRow     `json:"endpoints"`
	Scopes    []TableScope   `json:"scopes,omitempty"`
	Roles     []TableRoleSet `json:"roles,omitempty"`
}

// TableType is a key type: a column.
type TableType struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Format      string `json:"format"`
	// Grant is how its keys come by their scopes: `fixed`, `chosen` or `role`.
	Grant string `json:"grant"`
}

// TableRoleSet is the roles that keys of a type can carry.
type TableRoleSet struct {
	Type  string   `json:"type"`
	Roles []string `json:"roles"`
}

// TableRow is an endpoint and what each type can do with it, in the order of [Table.Types].
type TableRow struct {
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Routes      []string `json:"routes"`
	Access      []Access `json:"access"`
}

// Answer is whether keys of a type open an endpoint.
type Answer string

// The answers.
const (
	Yes      Answer = "yes"
	No       Answer = "no"
	ByRoles  Answer = "roles"  // with one of [Access.Roles]
	ByScopes Answer = "scopes" // with all of [Access.Scopes]
	Open     Answer = "public" // for everybody, without a key
)

// Access is one cell: a type and an endpoint.
type Access struct {
	Type   string   `json:"type"`
	Answer Answer   `json:"answer"`
	Roles  []string `json:"roles,omitempty"`
	Scopes []string `json:"scopes,omitempty"`
	// Permissions are what the key's creator, or the owner of a user key, must hold beside.
	Permissions []string `json:"permissions,omitempty"`
}

// TableScope is a scope that can be chosen, and what it unlocks.
type TableScope struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// Types are the key types that it can be chosen for.
	Types   []string `json:"types"`
	Unlocks []Unlock `json:"unlocks"`
	// Requires are the permissions that the key's creator must hold for it.
	Requires []string `json:"requires,omitempty"`
}

// Unlock is an endpoint that a scope unlocks, and what is needed beside it.
type Unlock struct {
	Endpoint    string   `json:"endpoint"`
	Scopes      []string `json:"scopes,omitempty"`
	Permissions []string `json:"permissions,omitempty"`
}

// Matrix works out the table of a policy from its document and what that compiled to.
func Matrix(doc *policyv1.Policy, p *policy.Policy) Table {
	t := Table{Policy: p.Name(), Types: []TableType{}, Endpoints: []TableRow{}}
	for _, k := range doc.GetKeyTypes() {
		grant := map[policy.Grant]string{policy.Fixed: "fixed", policy.Chosen: "chosen", policy.ByRole: "role"}[p.Type(k.GetName()).Grant]
		t.Types = append(t.Types, TableType{k.GetName(), k.GetDescription(), k.GetFormat(), grant})
		if roles := rolesOf(doc, k); grant == "role" {
			t.Roles = append(t.Roles, TableRoleSet{k.GetName(), roles})
		}
	}
	for i, e := range doc.GetEndpoints() {
		row := TableRow{Name: e.GetName(), Description: e.GetDescription(), Routes: e.GetRoutes(), Access: []Access{}}
		for _, k := range doc.GetKeyTypes() {
			row.Access = append(row.Access, accessOf(doc, p, k, p.Endpoints()[i]))
		}
		t.Endpoints = append(t.Endpoints, row)
	}
	for _, s := range doc.GetScopes() {
		if row := scopeOf(doc, p, s); len(row.Types) > 0 {
			t.Scopes = append(t.Scopes, row)
		}
	}
	return t
}

// accessOf is one cell.
func accessOf(doc *policyv1.Policy, p *policy.Policy, k *policyv1.KeyType, e *policy.Endpoint) Access {
	t := p.Type(k.GetName())
	a := Access{Type: k.GetName(), Answer: No}
	switch {
	case e.Public:
		a.Answer = Open
	case !t.Opens(e):
	case t.Grant == policy.ByRole:
		for _, name := range rolesOf(doc, k) {
			if r := t.Roles[name]; r.Scopes.Covers(e.Scopes) && r.Permissions.Covers(e.Permissions) {
				a.Roles = append(a.Roles, name)
			}
		}
		if a.Answer = ByRoles; len(a.Roles) == len(t.Roles) {
			a.Answer = Yes
		}
	default:
		a.Permissions = p.PermissionNames(e.Permissions)
		if a.Answer = Yes; t.Grant == policy.Chosen {
			a.Answer, a.Scopes = ByScopes, p.ScopeNames(e.Scopes)
		}
	}
	return a
}

// rolesOf is the roles that keys of a type can carry, in the document's order.
func rolesOf(doc *policyv1.Policy, k *policyv1.KeyType) []string {
	var names []string
	for _, kind := range doc.GetTenants() {
		if kind.GetName() != k.GetOwner() {
			continue
		}
		for _, r := range kind.GetRoles() {
			names = append(names, r.GetName())
		}
	}
	return names
}

// scopeOf is the row of a scope; it has no types where none can choose it.
func scopeOf(doc *policyv1.Policy, p *policy.Policy, s *policyv1.Scope) TableScope {
	row := TableScope{Name: s.GetName(), Description: s.GetDescription(), Requires: s.GetRequires(), Unlocks: []Unlock{}}
	alone, _ := p.ScopeSet([]string{s.GetName()})
	for _, k := range doc.GetKeyTypes() {
		if t := p.Type(k.GetName()); t.Grant == policy.Chosen && t.Scopes.Covers(alone) {
			row.Types = append(row.Types, k.GetName())
		}
	}
	held := implied(doc, []string{s.GetName()})
	for _, e := range p.Endpoints() {
		needs := p.ScopeNames(e.Scopes)
		missing := slices.DeleteFunc(slices.Clone(needs), func(n string) bool { return slices.Contains(held, n) })
		opened := slices.ContainsFunc(row.Types, func(name string) bool { return p.Type(name).Opens(e) })
		if len(missing) < len(needs) && opened {
			row.Unlocks = append(row.Unlocks, Unlock{e.Name, missing, p.PermissionNames(e.Permissions)})
		}
	}
	return row
}

// implied is scopes with everything that they imply.
func implied(doc *policyv1.Policy, scopes []string) []string {
	for i := 0; i < len(scopes); i++ { // grows
		for _, s := range doc.GetScopes() {
			if s.GetName() != scopes[i] {
				continue
			}
			for _, more := range s.GetImplies() {
				if !slices.Contains(scopes, more) {
					scopes = append(scopes, more)
				}
			}
		}
	}
	return scopes
}

// JSON is the table as one JSON document.
func (t Table) JSON() ([]byte, error) { return json.MarshalIndent(t, "", "  ") }
