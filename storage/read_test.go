package storage_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	keyv1 "github.com/latchkey/latchkey/proto/latchkey/key/v1"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

func TestLog(t *testing.T) {
	now := start
	db := storagetest.New(t, storage.Options{Now: func() time.Time { return now }})
	r, _ := issue(t)
	commit(t, db, storage.Change{
		Operator: "spiffe://acme/ci", Acting: "user:ada", Action: "keys.create", Note: "for the pipeline",
		Keys: []*key.Record{r}, Policies: map[string][]byte{"b": []byte("2"), "a": []byte("1")},
	})
	now = now.Add(-time.Hour) // a clock that was put back
	commit(t, db, storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_1"}}})
	now = now.Add(2 * time.Hour)
	commit(t, db, storage.Change{RemoveTenants: []string{"org:o_1"}})

	entries, err := db.Log(0, 10)
	if err != nil || len(entries) != 3 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	first := entries[0]
	if first.GetRevision() != 1 || first.GetOperator() != "spiffe://acme/ci" || first.GetActing() != "user:ada" ||
		first.GetAction() != "keys.create" || first.GetNote() != "for the pipeline" || !first.GetAt().AsTime().Equal(start) {
		t.Errorf("entry: %v", first)
	}
	var names []string
	for _, p := range first.GetPuts() {
		names = append(names, fmt.Sprintf("%d %s", p.GetKind(), p.GetName()))
	}
	if want := []string{"1 " + r.ID, "4 a", "4 b"}; !slices.Equal(names, want) {
		t.Errorf("puts %q, want %q", names, want)
	}
	var stored keyv1.Record
	if err := proto.Unmarshal(first.GetPuts()[0].GetValue(), &stored); err != nil || stored.GetRevision() != 1 || stored.GetName() != r.Name {
		t.Errorf("logged record: %v, %v", &stored, err)
	}
	if at := entries[1].GetAt().AsTime(); !at.Equal(start) {
		t.Errorf("the log went back in time, to %s", at)
	}
	if at := entries[2].GetAt().AsTime(); !at.Equal(start.Add(time.Hour)) {
		t.Errorf("time %s", at)
	}
	if p := entries[2].GetPuts(); len(p) != 1 || !p[0].GetRemoved() || p[0].GetKind() != logv1.Kind_KIND_TENANT || p[0].GetValue() != nil {
		t.Errorf("removal: %v", p)
	}

	for _, test := range []struct {
		after uint64
		limit int
		want  []uint64
	}{
		{0, 2, []uint64{1, 2}}, {1, 10, []uint64{2, 3}}, {2, 1, []uint64{3}}, {3, 10, nil}, {9, 10, nil}, {1<<64 - 1, 10, nil}, {0, 0, nil}, {0, -1, nil},
	} {
		entries, err := db.Log(test.after, test.limit)
		var got []uint64
		for _, e := range entries {
			got = append(got, e.GetRevision())
		}
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("Log(%d, %d): %d, %v; want %d", test.after, test.limit, got, err, test.want)
		}
	}
}

// A commit writes the file first. What isn't seen yet isn't logged yet either.
func TestLogIsNotAheadOfViews(t *testing.T) {
	db, err := storage.Open(storagetest.Dir(t), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	commit(t, db, storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_1"}}})
	err = db.Bolt().Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("log"))
		name, value := b.Cursor().First()
		name = append([]byte(nil), name...)
		name[7]++
		return b.Put(name, append([]byte(nil), value...))
	})
	if err != nil {
		t.Fatal(err)
	}
	if entries, err := db.Log(0, 10); err != nil || len(entries) != 1 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}

func TestKeysInOrder(t *testing.T) {
	db := storagetest.New(t)
	var want []string
	c := storage.Change{}
	for range 1200 {
		r, _ := issue(t)
		c.Keys = append(c.Keys, r)
		want = append(want, r.ID)
	}
	at := commit(t, db, c)
	slices.Sort(want)
	list := func(after string, limit int) (ids []string) {
		if got, err := db.Keys(after, func(r *key.Record) bool {
			ids = append(ids, r.ID)
			return len(ids) < limit
		}); got != at || err != nil {
			t.Errorf("position %v, want %v; %v", got, at, err)
		}
		return ids
	}
	if got := list("", 5000); !slices.Equal(got, want) {
		t.Errorf("%d keys, want %d in order", len(got), len(want))
	}
	if got := list(want[700], 3); !slices.Equal(got, want[701:704]) {
		t.Errorf("after %s: %q", want[700], got)
	}
	if got := list("key_z", 3); len(got) != 0 {
		t.Errorf("after the last: %q", got)
	}
	if tenants, principals, _ := db.Directory(); len(tenants) != 0 || len(principals) != 0 {
		t.Error("a directory from nowhere")
	}
}

func TestKeysWhileWriting(t *testing.T) {
	db := storagetest.New(t)
	c := storage.Change{}
	for range 600 {
		r, _ := issue(t)
		c.Keys = append(c.Keys, r)
	}
	commit(t, db, c)
	seen := map[string]bool{}
	_, err := db.Keys("", func(r *key.Record) bool {
		if seen[r.ID] {
			t.Fatalf("%s comes twice", r.ID)
		}
		seen[r.ID] = true
		if len(seen)%100 == 0 { // f may write, and what it changes is no harm
			another, _ := issue(t)
			commit(t, db, storage.Change{Keys: []*key.Record{another, lookUp(db, r.ID).Revoke(start)}})
		}
		return len(seen) < 5000
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range c.Keys {
		if !seen[r.ID] {
			t.Errorf("%s was there at the beginning and wasn't seen", r.ID)
		}
	}
}

func TestDirectoryInOrder(t *testing.T) {
	db := storagetest.New(t)
	at := commit(t, db, storage.Change{
		Tenants:    []*directory.Tenant{{ID: "team:b"}, {ID: "org:z"}, {ID: "team:a"}},
		Principals: []*directory.Principal{{ID: "user:b"}, {ID: "user:a"}},
	})
	tenants, principals, position := db.Directory()
	var names []string
	for _, o := range tenants {
		names = append(names, o.ID)
	}
	for _, o := range principals {
		names = append(names, o.ID)
	}
	if want := []string{"org:z", "team:a", "team:b", "user:a", "user:b"}; !slices.Equal(names, want) || position != at {
		t.Errorf("%q at %v, want %q at %v", names, position, want, at)
	}
}

func TestDocumentsAreTheCallersMap(t *testing.T) {
	db := storagetest.New(t)
	commit(t, db, storage.Change{Policies: map[string][]byte{"a": []byte("1")}})
	documents, _ := db.Documents()
	delete(documents, "a")
	if documents, _ := db.Documents(); !bytes.Equal(documents["a"], []byte("1")) {
		t.Error("the store's map was handed out")
	}
}

func TestChanged(t *testing.T) {
	db := storagetest.New(t)
	changed := db.Changed()
	arrived := make(chan storage.Position)
	go func() {
		<-changed
		arrived <- db.Position()
	}()
	at := commit(t, db, storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_1"}}})
	if got := <-arrived; got != at {
		t.Errorf("woken at %v, want %v", got, at)
	}
	select {
	case <-db.Changed():
		t.Error("the signal stayed up")
	default:
	}
}

func TestRevealedToken(t *testing.T) {
	db := storagetest.New(t)
	r, token := issue(t)
	kept := func() string {
		got, ok, err := db.RevealedToken(r.ID)
		if err != nil || !ok && got.Reveal() != "" {
			t.Fatalf("%v %v", ok, err)
		}
		return got.Reveal()
	}
	commit(t, db, storage.Change{Keys: []*key.Record{r}, Reveal: map[string]key.Token{r.ID: token}})
	if kept() != token.Reveal() {
		t.Error("the token wasn't kept")
	}
	renamed, name := lookUp(db, r.ID), "new name"
	renamed, err := renamed.Update(key.Update{Name: &name})
	if err != nil {
		t.Fatal(err)
	}
	commit(t, db, storage.Change{Keys: []*key.Record{renamed}})
	if kept() != token.Reveal() {
		t.Error("a change of the name lost the token")
	}
	next, secret := minted(t)
	rotated, err := lookUp(db, r.ID).Rotate(secret, 0, start)
	if err != nil {
		t.Fatal(err)
	}
	commit(t, db, storage.Change{Keys: []*key.Record{rotated}, Reveal: map[string]key.Token{r.ID: next}})
	if kept() != next.Reveal() {
		t.Error("the token wasn't replaced")
	}
	_, secret = minted(t)
	if rotated, err = lookUp(db, r.ID).Rotate(secret, 0, start); err != nil {
		t.Fatal(err)
	}
	commit(t, db, storage.Change{Keys: []*key.Record{rotated}})
	if kept() != "" {
		t.Error("a replaced token is still kept")
	}
	other, token := issue(t)
	r = other
	commit(t, db, storage.Change{Keys: []*key.Record{r}, Reveal: map[string]key.Token{r.ID: token}})
	commit(t, db, storage.Change{Keys: []*key.Record{lookUp(db, r.ID).Revoke(start)}})
	if kept() != "" {
		t.Error("the token of a revoked key is still kept")
	}
	entries, err := db.Log(0, 100)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(fmt.Sprint(entries), token.Reveal()) {
		t.Error("the token was logged")
	}
}

func TestErrorsHoldNoToken(t *testing.T) {
	db := storagetest.New(t)
	r, token := issue(t)
	_, err := db.Commit(context.Background(), storage.Change{Keys: []*key.Record{r.Revoke(start)}, Reveal: map[string]key.Token{r.ID: token}})
	if err == nil || strings.Contains(err.Error(), token.Reveal()) {
		t.Errorf("error %v", err)
	}
}
