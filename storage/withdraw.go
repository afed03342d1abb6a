package storage

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
	keyv1 "github.com/latchkey/latchkey/proto/latchkey/key/v1"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	"github.com/latchkey/latchkey/storage/watermark"
)

// Withdrawn is an object of an older store that had lost something since.
type Withdrawn struct {
	Kind string // "key", "tenant" or "principal"
	Name string
	What string // what it lost, for people
}

func (w Withdrawn) String() string { return fmt.Sprintf("%s %s: %s", w.Kind, w.Name, w.What) }

// withdrawals returns the change that takes from the objects of an older store
// what was taken from them since, and what that is, by kind and name. What is
// known is what the watermark has, and the keys that another file, unless that
// is nil, has as revoked. Objects that were made since are not brought back, and
// policies stay as the store has them.
func withdrawals(v *View, marks *watermark.Contents, former *image) (Change, []Withdrawn, error) {
	w := withdrawer{view: v}
	var later watermark.Changes
	final := map[string]*key.Record{}
	if former != nil {
		for id, r := range former.view.keys {
			if !r.Revoked.IsZero() {
				final[id] = r
			}
		}
	}
	if marks != nil {
		later = marks.After(since(marks, v.position))
		// A revocation is final, so that it counts wherever it stands.
		for id := range marks.After(-1).Revoked {
			if _, ok := final[id]; !ok {
				final[id] = nil
			}
		}
	}
	for id, r := range final {
		w.key(id, later.Puts[watermark.Object{Kind: logv1.Kind_KIND_KEY, Name: id}], r, true)
	}
	for o, p := range later.Puts {
		switch o.Kind {
		case logv1.Kind_KIND_KEY:
			if _, done := final[o.Name]; !done {
				w.key(o.Name, p, nil, false)
			}
		case logv1.Kind_KIND_TENANT:
			w.tenant(o.Name, p)
		case logv1.Kind_KIND_PRINCIPAL:
			w.principal(o.Name, p)
		}
	}
	slices.SortFunc(w.list, func(a, b Withdrawn) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	return w.change, w.list, errors.Join(w.errs...)
}

// since returns the index of the last mark that a store at this position has
// seen, -1 for none.
func since(marks *watermark.Contents, at Position) int {
	last := -1
	for i, m := range marks.Marks {
		if !at.Before(positionFromProto(m.GetPosition())) {
			last = i
		}
	}
	return last
}

type withdrawer struct {
	view   *View
	change Change
	list   []Withdrawn
	errs   []error
}

// key takes from a key what it lost. Its newest state is the put's, the
// record's, or, where neither is there, not known but for being revoked.
func (w *withdrawer) key(id string, p *logv1.Put, later *key.Record, revoked bool) {
	now := w.view.keys[id]
	if now == nil || !now.Revoked.IsZero() {
		return
	}
	if p != nil {
		var m keyv1.Record
		err := proto.Unmarshal(p.GetValue(), &m)
		if err == nil {
			later, err = key.FromProto(&m)
		}
		if err != nil {
			w.errs = append(w.errs, fmt.Errorf("the watermark: key %.64q: %w", id, err))
			return
		}
	}
	if later == nil {
		later = now
	}
	if revoked {
		later = later.Revoke(w.view.latest)
	}
	next, lost := now.Withdraw(later)
	if len(lost) == 0 {
		return
	}
	w.change.Keys = append(w.change.Keys, next)
	w.list = append(w.list, Withdrawn{"key", id, fmt.Sprintf("%s (%s %s%s)", strings.Join(lost, ", "), now.Policy, now.Type, owner(now))})
}

func owner(r *key.Record) string {
	if r.Principal != "" {
		return " of " + r.Principal
	}
	return " of " + r.Tenant
}

func (w *withdrawer) tenant(id string, p *logv1.Put) {
	now := w.view.tenants[id]
	if now == nil {
		return
	}
	if p.GetRemoved() {
		w.change.RemoveTenants = append(w.change.RemoveTenants, id)
		w.list = append(w.list, Withdrawn{"tenant", id, "removed"})
		return
	}
	var m directoryv1.Tenant
	if err := proto.Unmarshal(p.GetValue(), &m); err != nil {
		w.errs = append(w.errs, fmt.Errorf("the watermark: tenant %.64q: %w", id, err))
		return
	}
	later, err := directory.TenantFromProto(&m)
	if err != nil {
		w.errs = append(w.errs, fmt.Errorf("the watermark: tenant %.64q: %w", id, err))
		return
	}
	later.Revision = now.Revision
	if *later == *now {
		return
	}
	w.change.Tenants = append(w.change.Tenants, later)
	w.list = append(w.list, Withdrawn{"tenant", id, standing(later.Suspended, now.Suspended)})
}

func (w *withdrawer) principal(id string, p *logv1.Put) {
	now := w.view.principals[id]
	if now == nil {
		return
	}
	if p.GetRemoved() {
		w.change.RemovePrincipals = append(w.change.RemovePrincipals, id)
		w.list = append(w.list, Withdrawn{"principal", id, "removed"})
		return
	}
	var m directoryv1.Principal
	if err := proto.Unmarshal(p.GetValue(), &m); err != nil {
		w.errs = append(w.errs, fmt.Errorf("the watermark: principal %.64q: %w", id, err))
		return
	}
	later, err := directory.PrincipalFromProto(&m)
	if err != nil {
		w.errs = append(w.errs, fmt.Errorf("the watermark: principal %.64q: %w", id, err))
		return
	}
	later.Revision = now.Revision
	if proto.Equal(later.ToProto(), now.ToProto()) {
		return
	}
	w.change.Principals = append(w.change.Principals, later)
	w.list = append(w.list, Withdrawn{"principal", id, standing(later.Suspended, now.Suspended)})
}

func standing(later, now bool) string {
	if later && !now {
		return "suspended"
	}
	return "changed"
}
