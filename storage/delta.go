package storage

import (
	"fmt"
	"maps"

	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
	keyv1 "github.com/latchkey/latchkey/proto/latchkey/key/v1"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

// delta is what a log entry does to a view. It is made from the bytes that are
// stored, so that memory holds what a later Open will find, and shares nothing
// with whoever asked for the change.
type delta struct {
	keys              []*key.Record
	tenants           []*directory.Tenant
	principals        []*directory.Principal
	removedTenants    []string
	removedPrincipals []string
	policies          map[string][]byte // nil value: removed; nil map: none changes
}

// add reads one object; an error names it.
func (d *delta) add(p *logv1.Put) error {
	o := object{p.GetKind(), p.GetName()}
	name, err := d.addObject(p)
	if err == nil && o.kind != logv1.Kind_KIND_POLICY && len(p.GetValue()) > objectMax {
		err = fmt.Errorf("it is %d bytes long, and an object has %d at most", len(p.GetValue()), objectMax)
	}
	if err == nil && name != o.name {
		err = fmt.Errorf("it is stored under another name than its own, %.64q", name)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", o, err)
	}
	return nil
}

// addObject returns the name that the object gives itself.
func (d *delta) addObject(p *logv1.Put) (name string, err error) {
	switch p.GetKind() {
	case logv1.Kind_KIND_KEY:
		return d.addKey(p)
	case logv1.Kind_KIND_TENANT:
		if p.GetRemoved() {
			d.removedTenants = append(d.removedTenants, p.GetName())
			return p.GetName(), nil
		}
		var m directoryv1.Tenant
		if err := proto.Unmarshal(p.GetValue(), &m); err != nil {
			return "", err
		}
		t, err := directory.TenantFromProto(&m)
		d.tenants = append(d.tenants, t)
		return m.GetId(), err
	case logv1.Kind_KIND_PRINCIPAL:
		if p.GetRemoved() {
			d.removedPrincipals = append(d.removedPrincipals, p.GetName())
			return p.GetName(), nil
		}
		var m directoryv1.Principal
		if err := proto.Unmarshal(p.GetValue(), &m); err != nil {
			return "", err
		}
		principal, err := directory.PrincipalFromProto(&m)
		d.principals = append(d.principals, principal)
		return m.GetId(), err
	case logv1.Kind_KIND_POLICY:
		return p.GetName(), d.addPolicy(p)
	}
	return "", fmt.Errorf("it is of an unknown kind")
}

func (d *delta) addKey(p *logv1.Put) (name string, err error) {
	if p.GetRemoved() {
		return "", fmt.Errorf("a key is never removed")
	}
	var m keyv1.Record
	if err := proto.Unmarshal(p.GetValue(), &m); err != nil {
		return "", err
	}
	r, err := key.FromProto(&m)
	d.keys = append(d.keys, r)
	return m.GetId(), err
}

func (d *delta) addPolicy(p *logv1.Put) error {
	if !directory.ValidName(p.GetName()) {
		return fmt.Errorf("its name must be 1 to 128 characters of A-Z a-z 0-9 . _ ~ -")
	}
	if d.policies == nil {
		d.policies = map[string][]byte{}
	}
	d.policies[p.GetName()] = nil
	if !p.GetRemoved() {
		// Not bytes.Clone: an empty document is one, and nil is none.
		d.policies[p.GetName()] = append([]byte{}, p.GetValue()...)
	}
	return nil
}

// documents returns what becomes of the policy documents.
func (d *delta) documents(before map[string][]byte) map[string][]byte {
	after := map[string][]byte{}
	maps.Copy(after, before)
	for name, document := range d.policies {
		if document == nil {
			delete(after, name)
		} else {
			after[name] = document
		}
	}
	return after
}

// admission is what changes, one after the other, are held against.
type admission struct {
	view   *View
	before map[string]*key.Record // the keys of the changes as they are, by id
	owners map[key.Digest]string  // ids of the keys that admitted changes gave secrets to
}

// take makes an admitted change a part of what is.
func (a *admission) take(d *delta) {
	for _, r := range d.keys {
		a.before[r.ID] = r
		for i := range r.Secrets {
			a.owners[r.Secrets[i].Digest] = r.ID
		}
	}
}

// admit returns why the view can't become what the delta says. before is the
// keys of the delta as they are, by id.
func (v *View) admit(d *delta, before map[string]*key.Record) error {
	a := admission{view: v, before: before}
	return a.admit(d)
}

// admit returns why what is can't become what the delta says: each digest
// belongs to one key, and a key neither forgets a secret nor comes back.
func (a *admission) admit(d *delta) error {
	fresh := make(map[key.Digest]bool, len(d.keys))
	var owner key.Facts
	for _, r := range d.keys {
		old := a.before[r.ID]
		for i := range r.Secrets {
			digest := r.Secrets[i].Digest
			other, taken := a.owners[digest]
			if fresh[digest] || taken && other != r.ID || a.view.Lookup(digest, &owner) && owner.ID != key.ParseID(r.ID) {
				return fmt.Errorf("key %.64q: %w: mint another", r.ID, key.ErrDuplicate)
			}
			fresh[digest] = true
		}
		if old == nil {
			continue
		}
		if !old.Revoked.IsZero() && r.Revoked.IsZero() {
			return fmt.Errorf("key %.64q: %w", r.ID, key.ErrRevoked)
		}
		for i := range old.Secrets {
			if !fresh[old.Secrets[i].Digest] {
				return fmt.Errorf("key %.64q: a secret that it had is missing: ended ones stay", r.ID)
			}
		}
	}
	return nil
}

// checkReveal returns what is wrong with the tokens to keep.
func (d *delta) checkReveal(reveal map[string]key.Token) error {
	good := 0
	for _, r := range d.keys {
		if token, ok := reveal[r.ID]; ok && mayKeep(r, token) {
			good++
		}
	}
	if good < len(reveal) {
		return fmt.Errorf("a token to keep must be the current one of an unrevoked key of the same change")
	}
	return nil
}

// mayKeep reports whether this is the current token of an unrevoked key.
func mayKeep(r *key.Record, t key.Token) bool {
	return r.Revoked.IsZero() && t.Digest() == r.Current().Digest
}
