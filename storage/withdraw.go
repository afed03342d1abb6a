package storage

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

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

// Final reports whether it is what nothing gives back: a key that was revoked.
func (w Withdrawn) Final() bool { return w.Kind == "key" && strings.HasPrefix(w.What, "revoked") }

func (w Withdrawn) String() string { return fmt.Sprintf("%s %s: %s", w.Kind, w.Name, w.What) }

// withdrawals is what an older store had lost since.
type withdrawals struct {
	change Change // takes it away again
	list   []Withdrawn
	// sure is whether this is all. It isn't where the watermark is missing or
	// damaged, or doesn't reach back to the store, or the store went on where
	// the watermark wasn't: then only revocations are known for sure.
	sure bool
}

// withdraw returns what a store, read as a whole, had lost since. What is known is what the watermark has, the keys that another
// file, unless that is nil, has as revoked, and where the watermark doesn't know
// it all and that file came from the store, what it has become there. Objects that were made since are not
// brought back, and policies stay as the store has them.
func withdraw(img *image, marks *watermark.Contents, former *image) (*withdrawals, error) {
	w := withdrawer{objects: img.objects, latest: img.view.latest}
	var later watermark.Changes
	final := map[string]*key.Record{}
	if former != nil {
		for id, r := range former.objects.keys {
			if !r.Revoked.IsZero() {
				final[id] = r
			}
		}
	}
	if marks != nil {
		last, own, err := seen(img.path, img.view.position, marks)
		if err != nil {
			return nil, fmt.Errorf("comparing the log with the watermark: %w", err)
		}
		w.sure = own && marks.Damage == nil && !marks.Torn
		later = marks.After(last)
		// A revocation is final, so that it counts wherever it stands.
		for id := range marks.After(-1).Revoked {
			if _, ok := final[id]; !ok {
				final[id] = nil
			}
		}
	}
	if former != nil && !w.sure {
		if err := former.tell(img, marks, &later); err != nil {
			return nil, fmt.Errorf("comparing the backup with the former file: %w", err)
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
	return &w.withdrawals, errors.Join(w.errs...)
}

type withdrawer struct {
	withdrawals
	*objects
	latest time.Time
	errs   []error
}

// key takes from a key what it lost. Its newest state is the put's, the
// record's, or, where neither is there, not known but for being revoked.
func (w *withdrawer) key(id string, p *logv1.Put, later *key.Record, revoked bool) {
	now := w.keys[id]
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
			later, revoked = nil, true // what can't be read is denied
		}
	}
	if later == nil {
		later = now
	}
	if revoked {
		later = later.Revoke(w.latest)
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
	now := w.tenants[id]
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
	if !w.sure {
		// It may be another store's, where another has the same name.
		later.Parent, later.Plan = now.Parent, now.Plan
	}
	later.Suspended = later.Suspended || now.Suspended
	later.Revision = now.Revision
	if *later == *now {
		return
	}
	w.change.Tenants = append(w.change.Tenants, later)
	w.list = append(w.list, Withdrawn{"tenant", id, standing(later.Suspended, now.Suspended)})
}

func (w *withdrawer) principal(id string, p *logv1.Put) {
	now := w.principals[id]
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
	if !w.sure {
		later.Memberships, later.Permissions = common(now, later)
	}
	later.Suspended = later.Suspended || now.Suspended
	later.Revision = now.Revision
	if proto.Equal(later.ToProto(), now.ToProto()) {
		return
	}
	w.change.Principals = append(w.change.Principals, later)
	w.list = append(w.list, Withdrawn{"principal", id, standing(later.Suspended, now.Suspended)})
}

// common returns what two principals both have.
func common(a, b *directory.Principal) (memberships map[string]string, permissions map[string][]string) {
	memberships, permissions = maps.Clone(a.Memberships), map[string][]string{}
	maps.DeleteFunc(memberships, func(tenant, role string) bool { return b.Memberships[tenant] != role })
	for tenant, list := range a.Permissions {
		both := slices.DeleteFunc(slices.Clone(list), func(p string) bool { return !slices.Contains(b.Permissions[tenant], p) })
		if len(both) > 0 {
			permissions[tenant] = both
		}
	}
	return memberships, permissions
}

func standing(later, now bool) string {
	if later && !now {
		return "suspended"
	}
	return "changed"
}
