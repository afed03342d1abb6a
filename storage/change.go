package storage

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

// Change is one write: what becomes of which objects, who wants it and why.
// Each object may be named once.
type Change struct {
	Operator string // operating identity: the peer of the admin connection, or the process
	Acting   string // principal on whose behalf; empty for the operator
	Action   string // what is done, such as keys.create
	Note     string // why; may be empty

	// Based, unless it is zero, is the position at which the store must be.
	Based Position

	// Keys, Tenants and Principals each replace the stored object. Their
	// Revision must be that of the stored one, and 0 where there is none yet;
	// they are stored with the revision of this change.
	Keys       []*key.Record
	Tenants    []*directory.Tenant
	Principals []*directory.Principal

	// Objects to be removed; they must be there.
	RemoveTenants    []string
	RemovePrincipals []string

	// Policies are documents by name. Nil removes one, which must be there;
	// an empty document is not nil.
	Policies map[string][]byte

	// Reveal holds tokens to keep, by key id: each the current one of an
	// unrevoked key among Keys. A kept token is forgotten when its key gets
	// another secret or is revoked.
	Reveal map[string]key.Token
}

var encoding = proto.MarshalOptions{Deterministic: true}

// puts returns the objects of the change as they will be stored at a revision.
// The view is the store before it, and before its keys, by id.
func (c *Change) puts(v *View, before map[string]*key.Record, revision uint64) ([]*logv1.Put, error) {
	w := putWriter{named: map[object]bool{}}
	for _, r := range c.Keys {
		var stored uint64
		if old := before[r.ID]; old != nil {
			stored = old.Revision
		}
		m := r.ToProto()
		m.Revision = revision
		w.put(logv1.Kind_KIND_KEY, r.ID, r.Revision == stored, m)
	}
	for _, t := range c.Tenants {
		old, _ := v.Tenant(t.ID)
		m := t.ToProto()
		m.Revision = revision
		w.put(logv1.Kind_KIND_TENANT, t.ID, t.Revision == old.Revision, m)
	}
	for _, p := range c.Principals {
		old, _ := v.Principal(p.ID)
		m := p.ToProto()
		m.Revision = revision
		w.put(logv1.Kind_KIND_PRINCIPAL, p.ID, p.Revision == old.Revision(), m)
	}
	for _, id := range c.RemoveTenants {
		_, there := v.Tenant(id)
		w.remove(logv1.Kind_KIND_TENANT, id, there)
	}
	for _, id := range c.RemovePrincipals {
		_, there := v.Principal(id)
		w.remove(logv1.Kind_KIND_PRINCIPAL, id, there)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Policies)) {
		if document := c.Policies[name]; document != nil {
			w.add(&logv1.Put{Kind: logv1.Kind_KIND_POLICY, Name: name, Value: document})
		} else {
			w.remove(logv1.Kind_KIND_POLICY, name, v.documents[name] != nil)
		}
	}
	return w.puts, w.err
}

// object is the identity of an object.
type object struct {
	kind logv1.Kind
	name string
}

func (o object) String() string {
	switch o.kind {
	case logv1.Kind_KIND_KEY:
		return fmt.Sprintf("key %.64q", o.name)
	case logv1.Kind_KIND_TENANT:
		return fmt.Sprintf("tenant %.64q", o.name)
	case logv1.Kind_KIND_PRINCIPAL:
		return fmt.Sprintf("principal %.64q", o.name)
	case logv1.Kind_KIND_POLICY:
		return fmt.Sprintf("policy %.64q", o.name)
	}
	return fmt.Sprintf("object %.64q of kind %d", o.name, o.kind)
}

// putWriter gathers puts until the first error.
type putWriter struct {
	puts  []*logv1.Put
	named map[object]bool
	err   error
}

func (w *putWriter) add(p *logv1.Put) {
	o := object{p.GetKind(), p.GetName()}
	if w.named[o] {
		w.fail(fmt.Errorf("%s is named twice in one change", o))
	}
	w.named[o] = true
	w.puts = append(w.puts, p)
}

func (w *putWriter) put(kind logv1.Kind, name string, current bool, m proto.Message) {
	if !current {
		w.fail(fmt.Errorf("%s: %w", object{kind, name}, key.ErrConflict))
	}
	value, err := encoding.Marshal(m)
	if err != nil {
		w.fail(fmt.Errorf("%s: %w", object{kind, name}, err))
	}
	w.add(&logv1.Put{Kind: kind, Name: name, Value: value})
}

func (w *putWriter) remove(kind logv1.Kind, name string, there bool) {
	if !there {
		w.fail(fmt.Errorf("%s isn't there to be removed: %w", object{kind, name}, key.ErrConflict))
	}
	w.add(&logv1.Put{Kind: kind, Name: name, Removed: true})
}

func (w *putWriter) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}
