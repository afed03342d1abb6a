package storage_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// Two keys, a tenant and a policy are always changed together; whoever looks
// must never see some of them changed.
func TestViewsSeeOneRevision(t *testing.T) {
	const writes = 150
	db := storagetest.New(t, storage.Options{Compile: func(documents map[string][]byte) (any, error) {
		return string(documents["shortkit"]), nil
	}})
	a, _ := issue(t)
	b, _ := issue(t)
	commit(t, db, storage.Change{
		Keys: []*key.Record{a, b}, Tenants: []*directory.Tenant{{ID: "org:o_1", Plan: "p0"}}, Policies: map[string][]byte{"shortkit": []byte("p0")},
	})

	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for last := uint64(0); !stop.Load(); {
				db.View(func(v *storage.View) {
					x, errX := v.Key(a.ID)
					y, errY := v.Key(b.ID)
					if errX != nil || errY != nil {
						t.Errorf("reading records: %v, %v", errX, errY)
						stop.Store(true)
						return
					}
					o, _ := v.Tenant("org:o_1")
					revision := v.Position().Revision
					if x.Revision != revision || y.Revision != revision || o.Revision != revision || !asStored(v, x) ||
						x.Name != y.Name || revision > 1 && (x.Name != o.Plan || v.Policies() != o.Plan) {
						t.Errorf("revision %d shows keys %q (%d) and %q (%d), tenant %q (%d), policy %q",
							revision, x.Name, x.Revision, y.Name, y.Revision, o.Plan, o.Revision, v.Policies())
						stop.Store(true)
					}
					if revision < last {
						t.Errorf("revision %d after %d", revision, last)
					}
					last = revision
				})
			}
		})
	}
	readers.Go(func() {
		for !stop.Load() {
			if _, err := db.Keys("", func(r *key.Record) bool { return r.ID != "" }); err != nil {
				t.Error(err)
			}
			if _, err := db.Log(0, 5); err != nil {
				t.Error(err)
			}
		}
	})
	for i := range writes {
		name := "p" + string(rune('a'+i%26))
		x, y := lookUp(db, a.ID), lookUp(db, b.ID)
		x, _ = x.Update(key.Update{Name: &name})
		y, _ = y.Update(key.Update{Name: &name})
		at := commit(t, db, storage.Change{
			Keys:     []*key.Record{x, y},
			Tenants:  []*directory.Tenant{{ID: "org:o_1", Plan: name, Revision: x.Revision}},
			Policies: map[string][]byte{"shortkit": []byte(name)},
		})
		db.View(func(v *storage.View) { // read your own write
			if k, err := v.Key(a.ID); v.Position() != at || err != nil || k.Name != name {
				t.Errorf("after %v, a view of %v", at, v.Position())
			}
		})
	}
	stop.Store(true)
	readers.Wait()
}

// Of several that change the same key at once, each either does it on what it
// read or is told.
func TestConflictingWritersLoseNothing(t *testing.T) {
	const writers, each = 4, 25
	db := storagetest.New(t)
	r, _ := issue(t)
	r.Description = ""
	commit(t, db, storage.Change{Keys: []*key.Record{r}})
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for done := 0; done < each; {
				now := lookUp(db, r.ID)
				longer := now.Description + "x"
				next, err := now.Update(key.Update{Description: &longer})
				if err != nil {
					t.Error(err)
					return
				}
				switch _, err := db.Commit(context.Background(), storage.Change{Keys: []*key.Record{next}}); {
				case err == nil:
					done++
				case !errors.Is(err, key.ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if got := lookUp(db, r.ID); len(got.Description) != writers*each || got.Revision != writers*each+1 {
		t.Errorf("%d changes at revision %d, want %d", len(got.Description), got.Revision, writers*each)
	}
}

// The file grows under those who read it: what one of them knew of its length before isn't held against it.
func TestReadersOfAFileThatGrows(t *testing.T) {
	const writes = 300
	dir := filepath.Join(quickDir(t), "data")
	db := mustOpen(t, dir, storage.Options{})
	room := int64(db.Bolt().AllocSize)
	mustClose(t, db)
	// Without the room that it begins with, and with little more each time: with each write it grows.
	path := filepath.Join(dir, storage.FileName)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, info.Size()-room); err != nil {
		t.Fatal(err)
	}
	db = mustOpen(t, dir, storage.Options{})
	defer mustClose(t, db)
	db.Bolt().AllocSize = 4096
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for !stop.Load() {
				if _, err := db.Log(db.Position().Revision, 1); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range writes {
		commit(t, db, storage.Change{Policies: map[string][]byte{fmt.Sprint("p", i): make([]byte, 20_000)}})
	}
	stop.Store(true)
	readers.Wait()
}
