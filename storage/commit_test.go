package storage_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

func TestCommitIsOneRevision(t *testing.T) {
	db := storagetest.New(t)
	r, token := issue(t)
	at := commit(t, db, storage.Change{
		Action:     "keys.create",
		Keys:       []*key.Record{r},
		Tenants:    []*directory.Tenant{{ID: "org:o_1", Plan: "free"}},
		Principals: []*directory.Principal{{ID: "user:ada", Memberships: map[string]string{"org:o_1": "owner"}, Permissions: map[string][]string{"org:o_1": {"x:y"}}}},
		Policies:   map[string][]byte{"shortkit": []byte("document")},
	})
	if at.Revision != 1 || at.Epoch == 0 || at != db.Position() {
		t.Errorf("position %v, store says %v", at, db.Position())
	}
	db.View(func(v *storage.View) {
		stored, err := v.Key(r.ID)
		if err != nil || stored == nil || !asStored(v, stored) || stored.Revision != 1 || stored.Current().Digest != token.Digest() {
			t.Errorf("key: %+v, %v", stored, err)
		}
		if o, ok := v.Tenant("org:o_1"); !ok || o.Plan != "free" || o.Revision != 1 {
			t.Errorf("tenant: %+v", o)
		}
		if p, ok := v.Principal("user:ada"); !ok || !p.Member("org:o_1", "owner") || p.Revision() != 1 || len(p.Principal().Permissions["org:o_1"]) != 1 {
			t.Errorf("principal: %+v", p.Principal())
		}
		if keys, tenants, principals := v.Counts(); keys != 1 || tenants != 1 || principals != 1 {
			t.Errorf("counts: %d %d %d", keys, tenants, principals)
		}
		if v.Latest().IsZero() {
			t.Error("no time of the newest revision")
		}
		if v.Position() != at {
			t.Errorf("position: %v", v.Position())
		}
	})
	if r.Revision != 0 {
		t.Error("the caller's record was changed")
	}
}

func TestCommitRefuses(t *testing.T) {
	stored, _ := issue(t)
	revoked, _ := issue(t)
	revoked = revoked.Revoke(start)
	setUp := storage.Change{
		Keys:       []*key.Record{stored, revoked},
		Tenants:    []*directory.Tenant{{ID: "org:o_1"}},
		Principals: []*directory.Principal{{ID: "user:ada"}},
		Policies:   map[string][]byte{"shortkit": []byte("document")},
	}
	// what is stored, edited
	edit := func(r *key.Record, f func(*key.Record)) []*key.Record {
		c := r.Clone()
		c.Revision = 1
		f(c)
		return []*key.Record{c}
	}
	fresh := func(f func(*key.Record)) []*key.Record {
		r, _ := issue(t)
		f(r)
		return []*key.Record{r}
	}
	other, token := issue(t)
	for name, test := range map[string]struct {
		change storage.Change
		want   error
	}{
		"an older record":        {storage.Change{Keys: edit(stored, func(r *key.Record) { r.Revision = 0 })}, key.ErrConflict},
		"a record of the future": {storage.Change{Keys: edit(stored, func(r *key.Record) { r.Revision = 2 })}, key.ErrConflict},
		"a record that is gone":  {storage.Change{Keys: fresh(func(r *key.Record) { r.Revision = 1 })}, key.ErrConflict},
		"an older tenant":        {storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_1"}}}, key.ErrConflict},
		"a tenant that is gone":  {storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_2", Revision: 1}}}, key.ErrConflict},
		"an older principal":     {storage.Change{Principals: []*directory.Principal{{ID: "user:ada"}}}, key.ErrConflict},
		"removing no tenant":     {storage.Change{RemoveTenants: []string{"org:o_2"}}, key.ErrConflict},
		"removing no principal":  {storage.Change{RemovePrincipals: []string{"user:bob"}}, key.ErrConflict},
		"removing no policy":     {storage.Change{Policies: map[string][]byte{"kodey": nil}}, key.ErrConflict},
		"another position": {storage.Change{
			Based: storage.Position{Epoch: 1, Revision: 1}, Tenants: []*directory.Tenant{{ID: "org:o_3"}},
		}, key.ErrConflict},
		"another key's secret":      {storage.Change{Keys: fresh(func(r *key.Record) { r.Secrets = stored.Secrets })}, key.ErrDuplicate},
		"a revoked key's secret":    {storage.Change{Keys: fresh(func(r *key.Record) { r.Secrets = revoked.Secrets })}, key.ErrDuplicate},
		"a secret twice in a key":   {storage.Change{Keys: fresh(twice)}, key.ErrDuplicate},
		"a secret twice in changes": {storage.Change{Keys: slices.Concat(fresh(func(r *key.Record) { r.Secrets = other.Secrets }), []*key.Record{other})}, key.ErrDuplicate},
		"a key twice":               {storage.Change{Keys: []*key.Record{other, other}}, nil},
		"a tenant put and removed": {storage.Change{
			Tenants: []*directory.Tenant{{ID: "org:o_1", Revision: 1}}, RemoveTenants: []string{"org:o_1"},
		}, nil},
		"coming back from revoked":    {storage.Change{Keys: edit(revoked, func(r *key.Record) { r.Revoked = stored.Revoked })}, key.ErrRevoked},
		"a forgotten secret":          {storage.Change{Keys: edit(stored, func(r *key.Record) { r.Secrets = other.Secrets })}, nil},
		"a key without a secret":      {storage.Change{Keys: fresh(func(r *key.Record) { r.Secrets = nil })}, nil},
		"a key without an owner":      {storage.Change{Keys: fresh(func(r *key.Record) { r.Tenant = "" })}, nil},
		"text that isn't UTF-8":       {storage.Change{Keys: fresh(func(r *key.Record) { r.Name = "\xff" })}, nil},
		"a note that isn't UTF-8":     {storage.Change{Keys: fresh(func(*key.Record) {}), Note: "\xff"}, nil},
		"a tenant without a kind":     {storage.Change{Tenants: []*directory.Tenant{{ID: "o_1"}}}, nil},
		"a principal without a kind":  {storage.Change{Principals: []*directory.Principal{{ID: "ada"}}}, nil},
		"a policy without a name":     {storage.Change{Policies: map[string][]byte{"": []byte("x")}}, nil},
		"half good":                   {storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_9"}}, Keys: edit(stored, func(r *key.Record) { r.Revision = 0 })}, key.ErrConflict},
		"a token to keep, of no key":  {storage.Change{Reveal: map[string]key.Token{stored.ID: token}}, nil},
		"a token to keep, of another": {storage.Change{Keys: fresh(func(*key.Record) {}), Reveal: map[string]key.Token{other.ID: token}}, nil},
		"a token that isn't the key's": {storage.Change{
			Keys: []*key.Record{other}, Reveal: map[string]key.Token{other.ID: key.NewToken("else")},
		}, nil},
		"a token of a revoked key": {storage.Change{
			Keys: []*key.Record{other.Revoke(start)}, Reveal: map[string]key.Token{other.ID: token},
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			db := storagetest.New(t)
			commit(t, db, setUp)
			refused(t, db, test.change, test.want)
		})
	}
}

// twice gives a key the same secret again, as its older one.
func twice(r *key.Record) {
	old := r.Secrets[0]
	old.Until = start
	r.Secrets = []key.Secret{old, r.Secrets[0]}
}

func TestCommitReplacesWhatIsCurrent(t *testing.T) {
	db := storagetest.New(t)
	first, oldToken := issue(t)
	commit(t, db, storage.Change{Keys: []*key.Record{first}})
	newToken, secret := minted(t)
	rotated, err := lookUp(db, first.ID).Rotate(secret, 0, start)
	if err != nil {
		t.Fatal(err)
	}
	commit(t, db, storage.Change{Keys: []*key.Record{rotated}})
	was, is := factsOf(db, oldToken.Digest()), factsOf(db, newToken.Digest())
	if was == nil || is == nil || was.ID != is.ID || is.Status(start) != key.Active {
		t.Error("the two secrets lead to different records")
	} else if was.Status(start) != key.Revoked {
		t.Error("the replaced secret isn't over")
	}
	commit(t, db, storage.Change{Keys: []*key.Record{lookUp(db, first.ID).Revoke(start)}})
	db.View(func(v *storage.View) {
		if keys, _, _ := v.Counts(); keys != 0 {
			t.Errorf("%d keys aren't revoked", keys)
		}
	})
}

func TestCommitSharesNothing(t *testing.T) {
	db := storagetest.New(t)
	r, _ := issue(t)
	document := []byte("document")
	p := &directory.Principal{ID: "user:ada", Memberships: map[string]string{"org:o_1": "owner"}}
	commit(t, db, storage.Change{Keys: []*key.Record{r}, Principals: []*directory.Principal{p}, Policies: map[string][]byte{"shortkit": document}})
	r.Scopes[0], r.Disabled, document[0], p.Memberships["org:o_1"] = "all", true, 'X', "none"
	got := dump(db)
	if k := got.keys[r.ID]; k.Disabled || k.Scopes[0] != "content:read" {
		t.Error("the stored key changed with the caller's")
	}
	if string(got.documents["shortkit"]) != "document" || !got.principals["user:ada"].Packed().Member("org:o_1", "owner") {
		t.Error("a stored object changed with the caller's")
	}
}

func TestCommitOfNothing(t *testing.T) {
	db := storagetest.New(t)
	changed := db.Changed()
	if at := commit(t, db, storage.Change{Action: "nothing"}); at.Revision != 0 {
		t.Errorf("position %v", at)
	}
	select {
	case <-changed:
		t.Error("no change was announced as one")
	default:
	}
}

func TestBased(t *testing.T) {
	db := storagetest.New(t)
	at := commit(t, db, storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_1"}}})
	next := commit(t, db, storage.Change{Based: at, Tenants: []*directory.Tenant{{ID: "org:o_2"}}})
	refused(t, db, storage.Change{Based: at, Tenants: []*directory.Tenant{{ID: "org:o_3"}}}, key.ErrConflict)
	if next.Revision != 2 || next.Epoch != at.Epoch {
		t.Errorf("position %v", next)
	}
}

func TestRemove(t *testing.T) {
	db := storagetest.New(t)
	commit(t, db, storage.Change{
		Tenants:    []*directory.Tenant{{ID: "org:o_1"}, {ID: "org:o_2"}},
		Principals: []*directory.Principal{{ID: "user:ada"}},
		Policies:   map[string][]byte{"shortkit": []byte("document"), "empty": {}},
	})
	commit(t, db, storage.Change{RemoveTenants: []string{"org:o_1"}, RemovePrincipals: []string{"user:ada"}, Policies: map[string][]byte{"shortkit": nil}})
	got := dump(db)
	if len(got.tenants) != 1 || got.tenants["org:o_2"] == nil || len(got.principals) != 0 {
		t.Errorf("left: %v %v", got.tenants, got.principals)
	}
	if d, ok := got.documents["empty"]; !ok || d == nil || len(got.documents) != 1 {
		t.Errorf("policies left: %v", got.documents)
	}
	commit(t, db, storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_1"}}}) // anew
}

func TestCompile(t *testing.T) {
	bad := errors.New("line 3: no such scope")
	db := storagetest.New(t, storage.Options{Compile: func(documents map[string][]byte) (any, error) {
		for _, d := range documents {
			switch string(d) {
			case "bad":
				return nil, bad
			case "panic":
				panic("index out of range")
			}
		}
		return fmt.Sprint(slices.Sorted(maps.Keys(documents))), nil
	}})
	policies := func() (p any) {
		db.View(func(v *storage.View) { p = v.Policies() })
		return p
	}
	if policies() != "[]" {
		t.Errorf("before the first policy: %v", policies())
	}
	commit(t, db, storage.Change{Policies: map[string][]byte{"a": []byte("good"), "b": []byte("good")}})
	refused(t, db, storage.Change{Policies: map[string][]byte{"c": []byte("good"), "a": []byte("bad")}}, bad)
	refused(t, db, storage.Change{Policies: map[string][]byte{"c": []byte("panic")}}, nil)
	if policies() != "[a b]" {
		t.Errorf("after refused policies: %v", policies())
	}
	commit(t, db, storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_1"}}})
	commit(t, db, storage.Change{Policies: map[string][]byte{"a": nil}})
	if policies() != "[b]" {
		t.Errorf("after a removal: %v", policies())
	}
}

func TestCommitWaitsForItsTurnUntilTheContextEnds(t *testing.T) {
	compiling, proceed := make(chan struct{}), make(chan struct{})
	db := storagetest.New(t, storage.Options{Compile: func(documents map[string][]byte) (any, error) {
		if len(documents) > 0 {
			close(compiling)
			<-proceed
		}
		return nil, nil
	}})
	done := make(chan error)
	go func() {
		_, err := db.Commit(context.Background(), storage.Change{Policies: map[string][]byte{"a": []byte("slow")}})
		done <- err
	}()
	<-compiling
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := db.Commit(ctx, storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_1"}}}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
	close(proceed)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := db.Commit(ctx, storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_1"}}}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
}
