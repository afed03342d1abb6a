package storage

import (
	"fmt"
	"time"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage/table"
)

// View is the store at one revision: policies, keys and directory together. It
// never changes, and may be kept and used by any number of goroutines. It is a
// directory.Reader.
type View struct {
	position   Position
	latest     time.Time
	keys       keys
	all        int // keys
	unrevoked  int
	tenants    *table.Table
	principals *table.Table
	documents  map[string][]byte
	policies   any

	records func(id string) (*key.Record, error) // while DB.View lasts
}

// newView returns an empty view.
func newView() *View {
	return &View{
		keys:       keys{rows: table.New(rowDigest)},
		tenants:    table.New(directory.PackedName),
		principals: table.New(directory.PackedName),
		documents:  map[string][]byte{},
	}
}

// Lookup fills in the facts of the key with this digest among its secrets,
// live or ended, and reports whether there is one. It doesn't allocate.
func (v *View) Lookup(d key.Digest, f *key.Facts) bool {
	row := v.keys.rows.Get(d[:])
	if row == nil {
		return false
	}
	v.keys.facts(row, f)
	return true
}

// Key returns the record of the key with this id, and nil if there is none. It
// is read from the file, and so for those to whom DB.View hands the View, until
// it returns: others are answered with an error. Errors are those of reads.
func (v *View) Key(id string) (*key.Record, error) {
	if v.records == nil {
		return nil, fmt.Errorf("key %.64q: records are read within DB.View", id)
	}
	return v.records(id)
}

// Tenant returns the tenant with this name, and whether there is one.
func (v *View) Tenant(id string) (directory.Tenant, bool) {
	packed := v.tenants.GetString(id)
	if packed == nil {
		return directory.Tenant{}, false
	}
	return directory.UnpackTenant(packed), true
}

// Principal returns the principal with this name, and whether there is one.
func (v *View) Principal(id string) (directory.Person, bool) {
	packed := v.principals.GetString(id)
	if packed == nil {
		return directory.Person{}, false
	}
	return directory.UnpackPerson(packed), true
}

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
	return v.unrevoked, v.tenants.Len(), v.principals.Len()
}

// Memory returns how many bytes keys, tenants and principals take.
func (v *View) Memory() int {
	return v.keys.rows.Bytes() + v.tenants.Bytes() + v.principals.Bytes()
}

var _ directory.Reader = (*View)(nil)

// has reports whether there is a key of that name. It looks at all of them.
func (v *View) has(id key.ID) (found bool) {
	var f key.Facts
	v.keys.rows.Each(func(row []byte) bool {
		v.keys.facts(row, &f)
		found = f.ID == id
		return !found
	})
	return found
}

// mayReveal reports whether a token that is kept for a key is its current one,
// and the key isn't revoked.
func (v *View) mayReveal(id string, token key.Token) bool {
	var f key.Facts
	return v.Lookup(token.Digest(), &f) && f.ID == key.ParseID(id) && !f.Revoked && f.Until.IsZero()
}

// with returns the view that follows by a delta. before is the keys of the
// delta as they were, by id; numbers are those of the view's shapes.
func (v *View) with(d *delta, before map[string]*key.Record, numbers *shapes) *View {
	next := *v
	if len(d.keys) > 0 {
		next.keys.rows = v.rowsWith(d, numbers)
		next.keys.shapes = numbers.list
	}
	for _, r := range d.keys {
		old := before[r.ID]
		if old == nil {
			next.all++
		} else if old.Revoked.IsZero() {
			next.unrevoked--
		}
		if r.Revoked.IsZero() {
			next.unrevoked++
		}
	}
	next.tenants = edited(v.tenants, d.tenants, d.removedTenants)
	next.principals = edited(v.principals, d.principals, d.removedPrincipals)
	if d.policies != nil {
		next.documents = d.documents(v.documents)
	}
	return &next
}

// edited returns the table with objects put into it and taken out.
func edited[T interface{ AppendPacked([]byte) []byte }](t *table.Table, changed []T, removed []string) *table.Table {
	if len(changed)+len(removed) == 0 {
		return t
	}
	edit := t.Edit()
	for _, o := range changed {
		edit.Put(o.AppendPacked(nil))
	}
	for _, name := range removed {
		edit.Delete([]byte(name))
	}
	return edit.Table()
}

func (v *View) rowsWith(d *delta, numbers *shapes) *table.Table {
	edit := v.keys.rows.Edit()
	var row []byte
	for _, r := range d.keys {
		for i := range r.Secrets {
			digest := &r.Secrets[i].Digest
			if old := edit.Get(digest[:]); old != nil {
				_, _, number := readRow(old)
				numbers.drop(number)
			}
			f, _ := r.FactsOf(*digest)
			row = appendRow(row[:0], digest, f, numbers.use(f))
			edit.Put(row)
		}
	}
	return edit.Table()
}
