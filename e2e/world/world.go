// Package world builds what the product knows out of what the oracle knows,
// so that both can be asked the same question.
package world

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/latchkey/latchkey/authz"
	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/internal/oracle"
	"github.com/latchkey/latchkey/internal/strictyaml"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

// Systems are the four example policies.
var Systems = []string{"kodey", "cuneiform", "spotzee", "shortkit"}

// Policies loads the four example policies from the folder that holds them.
func Policies(examples string) (*policy.Policies, error) {
	var all []*policy.Policy
	for _, name := range Systems {
		file := filepath.Join(examples, name, "policy.yaml")
		src, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var doc policyv1.Policy
		if _, err := strictyaml.Decode(file, src, &doc); err != nil {
			return nil, err
		}
		p, err := policy.Compile(&doc)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, p)
	}
	return policy.NewPolicies(all...)
}

// memory is a world in maps.
type memory struct {
	digests    map[key.Digest]*key.Record
	keys       map[string]*key.Record
	tenants    map[string]*directory.Tenant
	principals map[string]*directory.Principal
}

func (m *memory) Lookup(d key.Digest, to *key.Facts) bool {
	r := m.digests[d]
	if r == nil {
		return false
	}
	f, ok := r.FactsOf(d)
	*to = *f
	return ok
}

func (m *memory) Tenant(id string) (directory.Tenant, bool) {
	return directory.Maps{Tenants: m.tenants, Principals: m.principals}.Tenant(id)
}

func (m *memory) Principal(id string) (directory.Person, bool) {
	return directory.Maps{Tenants: m.tenants, Principals: m.principals}.Principal(id)
}

// View returns the world as a check sees it.
func View(w *oracle.World, policies *policy.Policies) authz.View {
	m := &memory{
		digests: map[key.Digest]*key.Record{}, keys: map[string]*key.Record{},
		tenants: map[string]*directory.Tenant{}, principals: map[string]*directory.Principal{},
	}
	for id, t := range w.Tenants {
		m.tenants[id] = &directory.Tenant{ID: id, Parent: t.Parent, Plan: t.Plan, Suspended: t.Suspended}
	}
	for id, p := range w.Principals {
		m.principals[id] = &directory.Principal{ID: id, Memberships: p.Memberships, Permissions: p.Permissions, Suspended: p.Suspended}
	}
	for i := range w.Keys {
		r := Record(&w.Keys[i])
		m.keys[r.ID] = r
		for _, s := range r.Secrets {
			m.digests[s.Digest] = r
		}
	}
	return authz.View{Policies: policies, Keys: m, Directory: m, Revision: 1}
}

// Record returns the stored form of a key of the oracle's.
func Record(k *oracle.Key) *key.Record {
	r := &key.Record{
		ID: k.ID, Policy: k.Policy, Type: k.Type, Environment: k.Environment, Tenant: k.Tenant,
		Principal: k.Principal, Creator: k.Creator, Role: k.Role, Scopes: k.Scopes,
		Expires: k.Expires, Disabled: k.Disabled, Revision: 1,
	}
	past := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	if k.Revoked {
		r.Revoked = past
	}
	for _, old := range k.OldTokens {
		until := old.Until
		if until.IsZero() {
			until = past
		}
		t := key.NewToken(old.Token)
		r.Secrets = append(r.Secrets, key.Secret{Digest: t.Digest(), Last4: t.Last4(), Until: until})
	}
	t := key.NewToken(k.Token)
	r.Secrets = append(r.Secrets, key.Secret{Digest: t.Digest(), Last4: t.Last4()})
	return r
}

// Root returns the folder of the module, found from the working directory up.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no go.mod above the working directory")
		}
		dir = parent
	}
}
