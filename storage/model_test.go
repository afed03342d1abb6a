package storage_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
)

// machine drives a store and plain maps side by side.
type machine struct {
	dir     string
	db      *storage.DB
	now     time.Time
	model   contents
	digests map[key.Digest]string // key id
	tokens  map[string]key.Token  // kept ones, by key id
	log     []logged
	saved   []*saved
}

func TestStoreAgainstMaps(t *testing.T) {
	next := folders(quickDir(t))
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t, next())
		defer m.end()
		t.Repeat(rapid.StateMachineActions(m))
		if err := m.db.Check(); err != nil {
			t.Fatalf("check: %v", err)
		}
	})
}

// newMachine makes a store and an empty model.
func newMachine(t *rapid.T, dir string) *machine {
	m := &machine{
		dir: dir, now: start,
		model: contents{
			keys: map[string]*key.Record{}, tenants: map[string]*directory.Tenant{},
			principals: map[string]*directory.Principal{}, documents: map[string][]byte{},
		},
		digests: map[key.Digest]string{}, tokens: map[string]key.Token{},
	}
	m.open(t)
	m.model.position = m.db.Position()
	return m
}

// end closes the store and removes it.
func (m *machine) end() {
	_ = m.db.Close()
	_ = errors.Join(os.RemoveAll(m.dir), os.RemoveAll(m.dir+"-saved"))
}

var errCompile = errors.New("a bad policy")

func (m *machine) open(t *rapid.T) { m.db = mustOpen(t, m.dir, m.options()) }

func (m *machine) options() storage.Options {
	return storage.Options{
		Now: func() time.Time { m.now = m.now.Add(time.Second); return m.now },
		Compile: func(documents map[string][]byte) (any, error) {
			for _, d := range documents {
				if string(d) == "bad" {
					return nil, errCompile
				}
			}
			return slices.Sorted(maps.Keys(documents)), nil
		},
	}
}

// do commits a change that must be accepted, and does it to the maps.
func (m *machine) do(t *rapid.T, c storage.Change) {
	at := commit(t, m.db, c)
	m.model.position.Revision++
	m.model.position.Digest = at.Digest // which Check compares with the file's objects
	if at != m.model.position {
		t.Fatalf("position %v, want %v", at, m.model.position)
	}
	var puts putSet
	for _, r := range c.Keys {
		r = r.Clone()
		r.Revision = at.Revision
		m.model.keys[r.ID] = r
		puts.put("key", r.ID, r.ToProto())
		for _, s := range r.Secrets {
			m.digests[s.Digest] = r.ID
		}
		if token, ok := c.Reveal[r.ID]; ok {
			m.tokens[r.ID] = token
		} else if !r.Revoked.IsZero() || m.tokens[r.ID].Digest() != r.Current().Digest {
			delete(m.tokens, r.ID)
		}
	}
	for _, o := range c.Tenants {
		o := *o
		o.Revision = at.Revision
		m.model.tenants[o.ID] = &o
		puts.put("tenant", o.ID, o.ToProto())
	}
	for _, p := range c.Principals {
		p := *p
		p.Revision = at.Revision
		m.model.principals[p.ID] = &p
		puts.put("principal", p.ID, p.ToProto())
	}
	for _, id := range c.RemoveTenants {
		delete(m.model.tenants, id)
		puts.put("tenant", id, nil)
	}
	for _, id := range c.RemovePrincipals {
		delete(m.model.principals, id)
		puts.put("principal", id, nil)
	}
	for name, document := range c.Policies {
		if document == nil {
			delete(m.model.documents, name)
			puts.put("policy", name, nil)
		} else {
			m.model.documents[name] = document
			puts.put("policy", name, document)
		}
	}
	m.logged(at, c.Action, puts)
}

// some draws a key of the model, nil if there is none.
func (m *machine) some(t *rapid.T) *key.Record {
	if len(m.model.keys) == 0 {
		return nil
	}
	return m.model.keys[rapid.SampledFrom(slices.Sorted(maps.Keys(m.model.keys))).Draw(t, "key")]
}

// Issue makes keys, some of which may be shown again.
func (m *machine) Issue(t *rapid.T) {
	c := storage.Change{Reveal: map[string]key.Token{}}
	for range rapid.IntRange(1, 4).Draw(t, "keys") {
		r, token := issue(t)
		c.Keys = append(c.Keys, r)
		if rapid.Bool().Draw(t, "reveal") {
			c.Reveal[r.ID] = token
		}
	}
	m.do(t, c)
}

// Transition takes a key one step along its life.
func (m *machine) Transition(t *rapid.T) {
	r := m.some(t)
	if r == nil {
		return
	}
	var next *key.Record
	var err error
	switch rapid.IntRange(0, 6).Draw(t, "transition") {
	case 0:
		next = r.Revoke(m.now)
	case 1:
		next, err = r.Disable()
	case 2:
		next, err = r.Enable()
	case 3:
		_, secret := minted(t)
		next, err = r.Rotate(secret, time.Duration(rapid.IntRange(0, 20).Draw(t, "grace"))*time.Second, m.now)
	case 4:
		name := rapid.StringMatching(`[a-z]{0,3}`).Draw(t, "name")
		next, err = r.Update(key.Update{Name: &name})
	case 5:
		expires := m.now.Add(time.Duration(rapid.IntRange(-10, 100).Draw(t, "expires")) * time.Second)
		next, err = r.Update(key.Update{Expires: &expires})
	case 6:
		scopes := rapid.SampledFrom([][]string{nil, {"content:read"}, {"content:read", "content:write"}}).Draw(t, "scopes")
		next, err = r.Update(key.Update{Scopes: &scopes})
	}
	if err == nil {
		m.do(t, storage.Change{Keys: []*key.Record{next}})
	}
}

// Stale tries what was true one revision of the key ago.
func (m *machine) Stale(t *rapid.T) {
	r := m.some(t)
	if r == nil {
		return
	}
	old := r.Clone()
	old.Revision--
	fresh, _ := issue(t)
	refused(t, m.db, storage.Change{Keys: []*key.Record{fresh, old}}, key.ErrConflict)
}

// Duplicate tries a secret that a key has or had.
func (m *machine) Duplicate(t *rapid.T) {
	r := m.some(t)
	if r == nil {
		return
	}
	fresh, _ := issue(t)
	fresh.Secrets[0].Digest = rapid.SampledFrom(r.Secrets).Draw(t, "secret").Digest
	refused(t, m.db, storage.Change{Keys: []*key.Record{fresh}}, key.ErrDuplicate)
}

// Directory puts and removes.
func (m *machine) Directory(t *rapid.T) {
	name := rapid.SampledFrom([]string{"org:a", "org:b", "org:c"}).Draw(t, "name")
	var c storage.Change
	tenant, principal := m.model.tenants[name], m.model.principals[name]
	switch {
	case rapid.Bool().Draw(t, "put"):
		o := directory.Tenant{ID: name, Suspended: rapid.Bool().Draw(t, "suspended"), Plan: rapid.SampledFrom([]string{"", "pro"}).Draw(t, "plan")}
		p := directory.Principal{
			ID: name, Suspended: rapid.Bool().Draw(t, "off"),
			Memberships: map[string]string{"org:a": rapid.StringMatching(`[a-c]`).Draw(t, "role")},
		}
		if tenant != nil {
			o.Revision = tenant.Revision
		}
		if principal != nil {
			p.Revision = principal.Revision
		}
		c.Tenants, c.Principals = []*directory.Tenant{&o}, []*directory.Principal{&p}
	case tenant != nil:
		c.RemoveTenants, c.RemovePrincipals = []string{name}, []string{name}
	default:
		refused(t, m.db, storage.Change{RemoveTenants: []string{name}}, key.ErrConflict)
		return
	}
	m.do(t, c)
}

// Policy puts and removes.
func (m *machine) Policy(t *rapid.T) {
	name := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name")
	document := rapid.SampledFrom([]string{"one", "two", "bad", ""}).Draw(t, "document")
	switch {
	case document == "bad":
		refused(t, m.db, storage.Change{Policies: map[string][]byte{name: []byte(document)}}, errCompile)
	case rapid.Bool().Draw(t, "put"):
		m.do(t, storage.Change{Policies: map[string][]byte{name: []byte(document)}})
	case m.model.documents[name] != nil:
		m.do(t, storage.Change{Policies: map[string][]byte{name: nil}, Based: m.model.position})
	}
}

// Based tries to write to another revision than the newest.
func (m *machine) Based(t *rapid.T) {
	at := m.model.position
	at.Revision += rapid.SampledFrom([]uint64{1, 2, 1<<64 - 1}).Draw(t, "offset")
	if at.Revision < 1<<63 {
		refused(t, m.db, storage.Change{Based: at, RemoveTenants: slices.Sorted(maps.Keys(m.model.tenants))}, key.ErrConflict)
	}
}

// Clock puts the clock back or ahead.
func (m *machine) Clock(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(-100, 100).Draw(t, "seconds")) * time.Second)
}

// Restart closes the store and opens it again.
func (m *machine) Restart(t *rapid.T) {
	if err := errors.Join(m.db.Check(), m.db.Close()); err != nil {
		t.Fatalf("closing: %v", err)
	}
	m.open(t)
}

// Check compares all that can be asked.
func (m *machine) Check(t *rapid.T) {
	if diff := m.model.diff(dump(m.db)); diff != "" {
		t.Fatalf("%s differ from the model", diff)
	}
	unrevoked := 0
	for _, r := range m.model.keys {
		if r.Revoked.IsZero() {
			unrevoked++
		}
		token, ok, err := m.db.RevealedToken(r.ID)
		if want, kept := m.tokens[r.ID]; err != nil || ok != kept || token.Reveal() != want.Reveal() {
			t.Fatalf("token of %s: there %v, want %v; %v", r.ID, ok, kept, err)
		}
	}
	m.db.View(func(v *storage.View) {
		for digest, id := range m.digests {
			var f key.Facts
			if !v.Lookup(digest, &f) || f.ID.String() != id || !asStored(v, m.model.keys[id]) {
				t.Fatalf("digest %s leads to %v, want %s", digest, f.ID, id)
			}
		}
		if keys, tenants, principals := v.Counts(); keys != unrevoked || tenants != len(m.model.tenants) || principals != len(m.model.principals) {
			t.Fatalf("counts %d %d %d", keys, tenants, principals)
		}
		if got := v.Policies(); !slices.Equal(got.([]string), slices.Sorted(maps.Keys(m.model.documents))) {
			t.Fatalf("compiled policies: %v", got)
		}
	})
	m.checkLog(t)
	if _, err := m.db.Commit(context.Background(), storage.Change{}); err != nil {
		t.Fatalf("a change of nothing: %v", err)
	}
}
