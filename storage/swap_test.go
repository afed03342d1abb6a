package storage_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// A replica goes back only on purpose, and is told what that brings back.
func TestSwapAgainstTheFloor(t *testing.T) {
	hub, replica, dir := pairOf(t, storage.Options{Now: func() time.Time { return start }})
	a, _ := issue(t)
	off, _ := issue(t)
	commit(t, hub, storage.Change{Keys: []*key.Record{a, off}, Tenants: []*directory.Tenant{{ID: "org:o_1"}, {ID: "org:o_2"}}, Principals: []*directory.Principal{{ID: "user:ada"}}})
	old, oldBytes := exported(t, hub)
	disabled, err := lookUp(hub, off.ID).Disable()
	if err != nil {
		t.Fatal(err)
	}
	commit(t, hub, storage.Change{
		Keys: []*key.Record{lookUp(hub, a.ID).Revoke(start), disabled}, RemoveTenants: []string{"org:o_2"},
		Tenants: []*directory.Tenant{{ID: "org:o_1", Suspended: true, Revision: 1}}, Principals: []*directory.Principal{{ID: "user:ada", Suspended: true, Revision: 1}},
	})
	copyTo(t, hub, replica)
	now, nowBytes := exported(t, hub)
	if s := stage(t, replica, now, nowBytes, 100); len(s.Returning()) > 0 {
		t.Errorf("of the same store returns %v", s.Returning())
	}
	s := stage(t, replica, old, oldBytes, 100)
	var back []string
	for _, w := range s.Returning() {
		back = append(back, w.String())
	}
	want := []string{
		"key " + a.ID + ": revoked", "key " + off.ID + ": disabled", "principal user:ada: suspended", "tenant org:o_1: suspended", "tenant org:o_2: removed",
	}
	slices.Sort(want)
	slices.Sort(back)
	if !slices.Equal(back, want) {
		t.Errorf("returning %q, want %q", back, want)
	}
	if _, err := s.Swap(background, false); !errors.Is(err, storage.ErrRollback) {
		t.Errorf("an older one: %v", err)
	}
	same(t, hub, replica)
	// It is asked once more, and on purpose.
	if at, err := s.Swap(background, true); err != nil || at != old.Position || replica.Floor() != at {
		t.Fatalf("on purpose: %v, floor %v, %v", at, replica.Floor(), err)
	}
	storagetest.Close(t, replica)
	replica = storagetest.Open(t, dir, storage.Options{Replica: true})
	if replica.Recovered() != nil || replica.Position() != old.Position || replica.Floor() != old.Position {
		t.Errorf("opened again at %v, floor %v: %v", replica.Position(), replica.Floor(), replica.Recovered())
	}
	follow(t, hub, replica, 1)

	// Another hub that came as far.
	other := storagetest.New(t, storage.Options{Now: func() time.Time { return start }})
	commit(t, other, storage.Change{Tenants: []*directory.Tenant{{ID: "org:x"}}})
	commit(t, other, storage.Change{Tenants: []*directory.Tenant{{ID: "org:y"}}})
	e, b := exported(t, other)
	if e.Position.Epoch != now.Position.Epoch || e.Position.Revision != now.Position.Revision {
		t.Fatalf("not what was wanted: %v, %v", e.Position, now.Position)
	}
	s = stage(t, replica, e, b, 100)
	if _, err := s.Swap(background, false); !errors.Is(err, storage.ErrDiverged) {
		t.Errorf("another at the same revision: %v", err)
	}
	if _, err := replica.Since(e.Position, 1); !errors.Is(err, storage.ErrDiverged) {
		t.Errorf("what follows another: %v", err)
	}
	same(t, hub, replica)
	if _, err := s.Swap(background, true); err != nil {
		t.Fatal(err)
	}
	same(t, other, replica)
	storagetest.Close(t, replica)
	replica = storagetest.Open(t, dir, storage.Options{Replica: true})
	same(t, other, replica)
	if replica.Recovered() != nil {
		t.Error(replica.Recovered())
	}
}

// Of a running replica's store anything may break: views go on, and a snapshot
// heals it.
func TestSwapHeals(t *testing.T) {
	for name, test := range map[string]struct {
		damage func(t *testing.T, db *storage.DB, dir string)
		kept   bool // in quarantine
		writes bool // whether entries can still be applied
	}{
		"nothing": {func(*testing.T, *storage.DB, string) {}, false, true},
		"the file is removed": {func(t *testing.T, _ *storage.DB, dir string) {
			if err := os.Remove(filepath.Join(dir, storage.FileName)); err != nil {
				t.Fatal(err)
			}
		}, false, false},
		"the file is replaced": {func(t *testing.T, _ *storage.DB, dir string) {
			b := readFiles(t, dir)[storage.FileName]
			if err := os.Remove(filepath.Join(dir, storage.FileName)); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, storage.FileName), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}, false, false},
		"the file is cut off": {func(t *testing.T, _ *storage.DB, dir string) {
			if err := os.Truncate(filepath.Join(dir, storage.FileName), 3*4096); err != nil {
				t.Fatal(err)
			}
		}, true, false},
		"the file is cut to nothing": {func(t *testing.T, _ *storage.DB, dir string) {
			if err := os.Truncate(filepath.Join(dir, storage.FileName), 0); err != nil {
				t.Fatal(err)
			}
		}, true, false},
		"the watermark is removed": {func(t *testing.T, _ *storage.DB, dir string) {
			if err := os.Remove(filepath.Join(dir, markName)); err != nil {
				t.Fatal(err)
			}
		}, false, false},
		"the watermark is cut off": {func(t *testing.T, _ *storage.DB, dir string) {
			if err := os.Truncate(filepath.Join(dir, markName), 10); err != nil {
				t.Fatal(err)
			}
		}, false, false},
		"a record": {func(t *testing.T, db *storage.DB, _ string) {
			err := db.Bolt().Update(func(tx *bbolt.Tx) error {
				b := tx.Bucket([]byte("policies"))
				return b.Put([]byte("shortkit"), append([]byte("x"), b.Get([]byte("shortkit"))...))
			})
			if err != nil {
				t.Fatal(err)
			}
		}, true, false},
		"both meta pages": {func(t *testing.T, db *storage.DB, dir string) {
			f, err := os.OpenFile(filepath.Join(dir, storage.FileName), os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt(make([]byte, 2*os.Getpagesize()), 0); err != nil {
				t.Fatal(err)
			}
			// bbolt would panic with its locks held, and wait for them when it is closed.
			db.View(func(v *storage.View) { _, err = v.Key("key_any") })
			if !errors.Is(err, storage.ErrDamaged) {
				t.Errorf("a key is read: %v", err)
			}
		}, true, false},
		"pages of noise": {func(t *testing.T, db *storage.DB, dir string) {
			f, err := os.OpenFile(filepath.Join(dir, storage.FileName), os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			// Not the meta pages, so that bbolt goes on to what is behind them.
			size := int64(40 * 4096)
			for i := int64(2); i*4096 < size; i++ {
				if _, err := f.WriteAt([]byte("noise, noise, noise, noise, noise"), i*4096); err != nil {
					t.Fatal(err)
				}
			}
		}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			hub, replica, dir := pairOf(t, storage.Options{})
			written(t, hub)
			copyTo(t, hub, replica)
			before := replica.Now()
			commit(t, hub, storage.Change{Policies: map[string][]byte{"shortkit": []byte("2")}})
			test.damage(t, replica, dir)
			_, err := replica.Apply(background, entriesAfter(t, hub, before.Position().Revision))
			if (err == nil) != test.writes {
				t.Fatalf("apply: %v", err)
			}
			if err != nil && replica.Now() != before {
				t.Error("the view changed")
			}
			copyTo(t, hub, replica)
			if err := errors.Join(replica.Trouble(), replica.Mend(background)); err != nil {
				t.Errorf("trouble: %v", err)
			}
			aside, err := filepath.Glob(filepath.Join(dir, "*.damaged-*"))
			if err != nil || (len(aside) == 1) != test.kept {
				t.Errorf("put aside: %v, %v", aside, err)
			}
			commit(t, hub, storage.Change{Policies: map[string][]byte{"shortkit": []byte("3")}})
			follow(t, hub, replica, 1)
			storagetest.Close(t, replica)
			replica = storagetest.Open(t, dir, storage.Options{Replica: true})
			same(t, hub, replica)
			if err := replica.Recovered(); err != nil {
				t.Error(err)
			}
		})
	}
}
