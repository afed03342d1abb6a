package storage

import (
	"time"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
)

// View is the store at one revision: policies, keys and directory together.
// It is a directory.Reader.
type View struct {
	position   Position
	latest     time.Time
	digests    map[key.Digest]*key.Record
	keys       map[string]*key.Record
	order      order // of the ids of keys
	unrevoked  int
	tenants    map[string]*directory.Tenant
	principals map[string]*directory.Principal
	documents  map[string][]byte
	policies   any
}

// newView returns an empty view with room for so many keys.
func newView(keys int) *View {
	return &View{
		digests:    make(map[key.Digest]*key.Record, keys),
		keys:       make(map[string]*key.Record, keys),
		tenants:    map[string]*directory.Tenant{},
		principals: map[string]*directory.Principal{},
		documents:  map[string][]byte{},
	}
}

// View calls f with the store as it is now. No change happens while f runs, so
// f must be short and must neither block nor call methods of the DB; the View
// is not to be used after it. What the View returned may be kept.
func (db *DB) View(f func(*View)) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	f(&db.state)
}

// Lookup returns the key with this digest among its secrets, live or ended,
// and nil if there is none.
func (v *View) Lookup(d key.Digest) *key.Record { return v.digests[d] }

// Key returns the key with this id, and nil if there is none.
func (v *View) Key(id string) *key.Record { return v.keys[id] }

// Tenant returns the tenant with this name, and nil if there is none.
func (v *View) Tenant(id string) *directory.Tenant { return v.tenants[id] }

// Principal returns the principal with this name, and nil if there is none.
func (v *View) Principal(id string) *directory.Principal { return v.principals[id] }

// Policies returns what Options.Compile made of this revision's policies.
func (v *View) Policies() any { return v.policies }

// Position returns the revision that this is.
func (v *View) Position() Position { return v.position }

// Latest returns when the newest revision was written, and the zero time
// before the first. A clock that is behind it is wrong.
func (v *View) Latest() time.Time { return v.latest }

// Counts returns how many keys aren't revoked (expired ones included), and how
// many tenants and principals there are.
func (v *View) Counts() (keys, tenants, principals int) {
	return v.unrevoked, len(v.tenants), len(v.principals)
}

var _ directory.Reader = (*View)(nil)

// apply makes the changed objects those of the view.
func (v *View) apply(d *delta) {
	for _, r := range d.keys {
		old := v.keys[r.ID]
		if old == nil {
			v.order.insert(r.ID)
		} else if old.Revoked.IsZero() {
			v.unrevoked--
		}
		if r.Revoked.IsZero() {
			v.unrevoked++
		}
		v.keys[r.ID] = r
		for i := range r.Secrets {
			v.digests[r.Secrets[i].Digest] = r
		}
	}
	for _, t := range d.tenants {
		v.tenants[t.ID] = t
	}
	for _, p := range d.principals {
		v.principals[p.ID] = p
	}
	for _, id := range d.removedTenants {
		delete(v.tenants, id)
	}
	for _, id := range d.removedPrincipals {
		delete(v.principals, id)
	}
	if d.policies != nil {
		v.documents = d.documents(v.documents)
	}
}
