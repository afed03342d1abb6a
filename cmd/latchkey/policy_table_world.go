package main

import (
	"crypto/rand"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/latchkey/latchkey/admin"
	"github.com/latchkey/latchkey/authz"
	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/internal/policytable"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/key/mint"
	"github.com/latchkey/latchkey/policy"
	"github.com/latchkey/latchkey/policyfile"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
	tablev1 "github.com/latchkey/latchkey/proto/latchkey/table/v1"
)

// keyAge is how long ago the keys of a table were made; what became of them
// happened half-way.
const keyAge = 2 * time.Hour

// tableWorld is a table's policy, directory and keys, as a check sees them.
type tableWorld struct {
	policies  *admin.Compiled
	directory people
	keys      keyring
	tokens    map[string]key.Token // what each key of the table presents
	now       time.Time
}

// people is a directory in memory.
type people struct {
	tenants    map[string]*directory.Tenant
	principals map[string]*directory.Principal
}

func (p people) Tenant(id string) (directory.Tenant, bool) {
	return directory.Maps{Tenants: p.tenants, Principals: p.principals}.Tenant(id)
}

func (p people) Principal(id string) (directory.Person, bool) {
	return directory.Maps{Tenants: p.tenants, Principals: p.principals}.Principal(id)
}

// with returns the directory with objects replaced.
func (p people) with(d *directoryv1.Directory) (people, error) {
	next := people{maps.Clone(p.tenants), maps.Clone(p.principals)}
	for _, one := range d.GetTenants() {
		t, err := directory.TenantFromProto(one)
		if err != nil {
			return people{}, err
		}
		next.tenants[t.ID] = t
	}
	for _, one := range d.GetPrincipals() {
		who, err := directory.PrincipalFromProto(one)
		if err != nil {
			return people{}, err
		}
		next.principals[who.ID] = who
	}
	return next, directory.CheckTree(next, slices.Sorted(maps.Keys(next.tenants)))
}

// keyring is keys in memory.
type keyring map[key.Digest]*key.Facts

func (k keyring) Lookup(d key.Digest, to *key.Facts) bool {
	f := k[d]
	if f != nil {
		*to = *f
	}
	return f != nil
}

func (k keyring) add(r *key.Record) {
	for _, s := range r.Secrets {
		k[s.Digest], _ = r.FactsOf(s.Digest)
	}
}

func newTableWorld(t *policytable.Table, now time.Time) (*tableWorld, error) {
	loaded, err := policyfile.Load(filepath.Join(t.Dir, policytable.PolicyFile), t.PolicySrc)
	if err != nil {
		return nil, err
	}
	w := &tableWorld{
		keys:   keyring{},
		tokens: map[string]key.Token{}, now: now,
	}
	if w.policies, err = admin.CompileLoaded(loaded); err != nil {
		return nil, err
	}
	base := people{map[string]*directory.Tenant{}, map[string]*directory.Principal{}}
	if w.directory, err = base.with(t.Directory); err != nil {
		return nil, fmt.Errorf("%s: %w", policytable.DirectoryFile, err)
	}
	for _, k := range t.Keys {
		if err := w.issue(k); err != nil {
			return nil, fmt.Errorf("the key %s: %w", k.GetName(), err)
		}
	}
	return w, nil
}

func keyFields(policy string, k *tablev1.Key) *adminv1.KeyFields {
	return &adminv1.KeyFields{
		Policy: policy, Type: k.GetType(), Environment: k.GetEnvironment(), Tenant: k.GetTenant(), Principal: k.GetPrincipal(),
		Role: k.GetRole(), Scopes: k.GetScopes(), Name: k.GetName(),
	}
}

// issue makes a key of the table by the rules of the policy, as its creator
// would, and lets become of it what the table says.
func (w *tableWorld) issue(k *tablev1.Key) error {
	p := w.policies.Policies.Get(w.policies.Policies.Names()[0])
	made := w.now.Add(-keyAge)
	then := w.now.Add(-keyAge / 2)
	fields := keyFields(p.Name(), k)
	if k.GetState() == policytable.Expired {
		fields.ExpiresIn = durationpb.New(keyAge / 2)
	}
	world := admin.World{Policies: w.policies, Directory: w.directory, Now: made}
	draft, format, err := world.Draft(admin.Caller{Operator: "table", Acting: k.GetCreator()}, fields)
	if err != nil {
		return err
	}
	token, secret, err := minted(format)
	if err != nil {
		return err
	}
	r := key.Issue(*draft, secret, made)
	w.tokens[k.GetName()] = token
	switch k.GetState() {
	case policytable.Revoked:
		r = r.Revoke(then)
	case policytable.Disabled:
		r, err = r.Disable()
	case policytable.Rotated:
		r, err = rotate(p.Type(r.Type), r, format, 0, then)
	case policytable.Retiring:
		grace := keyAge
		if longest := p.Type(r.Type).LongestGrace; longest != nil {
			grace = min(grace, *longest)
		}
		if grace <= keyAge/2 {
			return fmt.Errorf("the grace of keys of the type %s is at most %s, so none of them is retiring for long: use the state rotated", r.Type, grace)
		}
		r, err = rotate(p.Type(r.Type), r, format, grace, then)
	}
	if err != nil {
		return err
	}
	w.keys.add(r)
	return nil
}

func rotate(t *policy.KeyType, r *key.Record, format key.Format, grace time.Duration, at time.Time) (*key.Record, error) {
	if !t.RotatesInPlace {
		return nil, fmt.Errorf("keys of the type %s aren't rotated: use another state", t.Name)
	}
	_, secret, err := minted(format)
	if err != nil {
		return nil, err
	}
	return r.Rotate(secret, grace, at)
}

func minted(format key.Format) (key.Token, key.Secret, error) {
	token, err := mint.Token(format, rand.Reader)
	return token, key.Secret{Digest: token.Digest(), Prefix: format.Prefix, Last4: token.Last4()}, err
}

// decide runs one case and returns how it failed, or nil.
func (w *tableWorld) decide(c policytable.Case) (*failure, error) {
	people := w.directory
	if c.Directory != nil {
		var err error
		if people, err = people.with(c.Directory); err != nil {
			return nil, err
		}
	}
	q := authz.Question{Method: c.Method, Host: c.Host, Path: c.Path}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		q.Headers = append(q.Headers, policy.Header{Name: name, Value: c.Headers[name]})
	}
	if c.Key != nil {
		q.Token = w.tokens[c.Key.GetName()]
	}
	view := authz.View{Policies: w.policies.Policies, Keys: w.keys, Directory: people, Revision: 1, Latest: w.now}
	e := authz.Explain(view, q, w.now)
	f := &failure{Place: c.Place, Rule: c.Rule, Key: c.KeyName(), Request: c.Request, Want: c.Expect, Got: e.Verdict.Reason.String()}
	if f.Got != f.Want {
		f.Detail = lastStep(e)
		return f, nil
	}
	for _, name := range slices.Sorted(maps.Keys(c.Identity)) {
		want := c.Identity[name]
		got, set := e.Identity["x-latchkey-"+name]
		if want == "" && set || want != got {
			f.Want, f.Got = identity(name, want), identity(name, got)
			return f, nil
		}
	}
	return nil, nil
}

func identity(name, value string) string {
	if value == "" {
		return "no x-latchkey-" + name
	}
	return fmt.Sprintf("x-latchkey-%s: %s", name, value)
}

// lastStep is the check that decided.
func lastStep(e authz.Explanation) string {
	if len(e.Steps) == 0 {
		return ""
	}
	s := e.Steps[len(e.Steps)-1]
	return strings.TrimSpace(s.Check + ": " + s.Detail)
}
