package storage_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

func TestRollback(t *testing.T) {
	next := folders(quickDir(t))
	rapid.Check(t, func(t *rapid.T) {
		h := live(t, next(), 1, 20)
		defer h.end()
		old := h.moments[rapid.IntRange(0, len(h.moments)-2).Draw(t, "older")]
		now := h.newest()
		mustClose(t, h.db)
		back := now.files.with(storage.FileName, old.files[storage.FileName])
		back.into(t, h.dir)

		_, lost := takeAway(old.contents, now.contents)
		for range 2 { // refused, it stays as it is
			_, err := storage.Open(h.dir, h.options())
			checkRollbackError(t, err, lost)
		}
		if !back.same(readFiles(t, h.dir)) {
			t.Fatalf("refused, the folder changed: %v", readFiles(t, h.dir).names(""))
		}

		accept := h.options()
		accept.AcceptRollback = true
		db := mustOpen(t, h.dir, accept)
		checkWithdrawn(t, db, old.contents, now.contents)
		if got := named(db.Withdrawn()); !slices.Equal(got, lost) {
			t.Fatalf("it tells of %v, and should of %v", got, lost)
		}
		db = reopen(t, db, h.dir, h.options())
		db = reopen(t, db, h.dir, accept) // nothing is left to accept
		if len(db.Withdrawn()) > 0 {
			t.Fatalf("withdrawn again: %v", db.Withdrawn())
		}
		// The crash came between the file and the watermark.
		accepted := dump(db)
		mustClose(t, db)
		readFiles(t, h.dir).with(markName, now.files[markName]).into(t, h.dir)
		h.db = mustOpen(t, h.dir, h.options())
		if diff := accepted.diff(dump(h.db)); diff != "" {
			t.Fatalf("after the crash %s differ", diff)
		}
		if err := h.db.Check(); err != nil {
			t.Fatalf("check: %v", err)
		}
		// It is the newest now, and the former newest is a rollback.
		h.db = reopen(t, h.db, h.dir, h.options())
		mustClose(t, h.db)
		readFiles(t, h.dir).with(storage.FileName, now.files[storage.FileName]).into(t, h.dir)
		if _, err := storage.Open(h.dir, h.options()); !errors.Is(err, storage.ErrRollback) {
			t.Fatalf("what was given up comes back: %v", err)
		}
	})
}

// checkRollbackError checks that an error is a rollback's, names exactly these
// objects and says what to do.
func checkRollbackError(t *rapid.T, err error, lost []string) {
	t.Helper()
	var e *storage.RollbackError
	if !errors.Is(err, storage.ErrRollback) || !errors.As(err, &e) || errors.Is(err, storage.ErrUnproven) {
		t.Fatalf("error %v", err)
	}
	if got := named(e.Alive); !slices.Equal(got, lost) || e.Unknown {
		t.Fatalf("it tells of %v (unknown: %v), and should of %v", got, e.Unknown, lost)
	}
	for _, w := range e.Alive[:min(20, len(e.Alive))] {
		if !strings.Contains(err.Error(), w.String()) {
			t.Fatalf("%s isn't in: %v", w, err)
		}
	}
	for _, word := range []string{"latchkey db restore", "--accept-rollback", e.Path} {
		if !strings.Contains(err.Error(), word) {
			t.Fatalf("%q isn't in: %v", word, err)
		}
	}
}

func TestRollbackErrorNamesTwenty(t *testing.T) {
	for _, keys := range []int{0, 1, 20, 21, 25} {
		t.Run(fmt.Sprint(keys), func(t *testing.T) {
			dir := storagetest.Dir(t)
			db := storagetest.Open(t, dir)
			var c storage.Change
			for range keys {
				r, _ := issue(t)
				c.Keys = append(c.Keys, r)
			}
			c.Tenants = []*directory.Tenant{{ID: "org:o_1"}}
			commit(t, db, c)
			old := readFiles(t, dir)
			var revoke storage.Change
			for _, r := range c.Keys {
				revoke.Keys = append(revoke.Keys, lookUp(db, r.ID).Revoke(start))
			}
			revoke.Tenants = []*directory.Tenant{{ID: "org:o_2"}}
			commit(t, db, revoke)
			storagetest.Close(t, db)
			readFiles(t, dir).with(storage.FileName, old[storage.FileName]).into(t, dir)
			_, err := storage.Open(dir, storage.Options{})
			if !errors.Is(err, storage.ErrRollback) {
				t.Fatalf("error %v", err)
			}
			if n := strings.Count(err.Error(), "revoked at"); n != min(keys, 20) {
				t.Errorf("it names %d: %v", n, err)
			}
			if more := fmt.Sprintf("and %d more", keys-20); strings.Contains(err.Error(), more) != (keys > 20) {
				t.Errorf("%q: %v", more, err)
			}
			if none := "nothing that would come back"; strings.Contains(err.Error(), none) != (keys == 0) {
				t.Errorf("%q: %v", none, err)
			}
		})
	}
}

// A watermark that isn't that of the file proves nothing, and a file is never
// opened for it, nor refused for good.
func TestWatermarkOfAnotherTime(t *testing.T) {
	next := folders(quickDir(t))
	rapid.Check(t, func(t *rapid.T) {
		h := live(t, next(), 3, 10)
		defer h.end()
		mustClose(t, h.db)
		now, n := h.newest(), len(h.moments)-1
		i := rapid.IntRange(-2, n).Draw(t, "watermark")
		var marks []byte
		switch i {
		case -2: // none
		case -1:
			marks = []byte("something else")
		default:
			marks = h.moments[i].files[markName]
		}
		now.files.with(markName, marks).into(t, h.dir)
		db, err := storage.Open(h.dir, h.options())
		if i >= n-1 {
			if err != nil {
				t.Fatalf("one behind is what a crash leaves: %v", err)
			}
			h.db = db
			return
		}
		var e *storage.RollbackError
		if !errors.Is(err, storage.ErrUnproven) || errors.Is(err, storage.ErrRollback) || !errors.As(err, &e) {
			t.Fatalf("error %v", err)
		}
		if len(e.Alive) > 0 || !e.Unknown || !strings.Contains(err.Error(), "isn't known") {
			t.Fatalf("nothing is known of what would come back: %v", err)
		}
		accept := h.options()
		accept.AcceptRollback = true
		h.db = mustOpen(t, h.dir, accept)
		checkWithdrawn(t, h.db, now.contents, now.contents)
		h.db = reopen(t, h.db, h.dir, h.options())
	})
}

// A copy that went on elsewhere has a lineage of its own, which began later than
// what this watermark knows, and has seen none of it.
func TestCopyThatWentOnElsewhere(t *testing.T) {
	dir, other := storagetest.Dir(t), storagetest.Dir(t)
	db := storagetest.Open(t, dir)
	rotated, _ := issue(t)
	disabled, _ := issue(t)
	commit(t, db, storage.Change{
		Keys:       []*key.Record{rotated, disabled},
		Tenants:    []*directory.Tenant{{ID: "org:o_1", Plan: "pro"}, {ID: "org:o_2", Suspended: true}, {ID: "org:o_3"}},
		Principals: []*directory.Principal{{ID: "user:ada", Memberships: map[string]string{"org:o_1": "viewer", "org:o_2": "owner"}}},
	})
	then := readFiles(t, dir)

	_, secret := minted(t)
	next, err := lookUp(db, rotated.ID).Rotate(secret, 0, start)
	if err != nil {
		t.Fatal(err)
	}
	off, err := lookUp(db, disabled.ID).Disable()
	if err != nil {
		t.Fatal(err)
	}
	commit(t, db, storage.Change{
		Keys:       []*key.Record{next, off},
		Tenants:    []*directory.Tenant{{ID: "org:o_1", Plan: "free", Suspended: true, Revision: 1}, {ID: "org:o_2", Revision: 1}},
		Principals: []*directory.Principal{{ID: "user:ada", Revision: 1, Memberships: map[string]string{"org:o_1": "owner", "org:o_2": "owner"}}},
	})
	commit(t, db, storage.Change{RemoveTenants: []string{"org:o_3"}})
	storagetest.Close(t, db)

	// Elsewhere, from before, by a lineage of its own.
	then.with(markName, nil).into(t, other)
	copied := storagetest.Open(t, other, storage.Options{AcceptRollback: true})
	fresh, _ := issue(t)
	commit(t, copied, storage.Change{Keys: []*key.Record{fresh}})
	storagetest.Close(t, copied)

	readFiles(t, dir).with(storage.FileName, readFiles(t, other)[storage.FileName]).into(t, dir)
	_, err = storage.Open(dir, storage.Options{})
	var e *storage.RollbackError
	if !errors.Is(err, storage.ErrUnproven) || !errors.As(err, &e) || !e.Unknown || len(e.Alive) != 5 {
		t.Fatalf("error %v", err)
	}
	db = storagetest.Open(t, dir, storage.Options{AcceptRollback: true})
	got := dump(db)
	if k := got.keys[rotated.ID]; allows(k.StatusOf(rotated.Secrets[0].Digest, start)) || !allows(k.StatusOf(secret.Digest, start)) {
		t.Errorf("the rotated key: %+v", k)
	}
	if !got.keys[disabled.ID].Disabled || got.keys[fresh.ID] == nil {
		t.Errorf("the disabled key: %+v, the fresh one: %+v", got.keys[disabled.ID], got.keys[fresh.ID])
	}
	// Of what is there in both lines nobody gets more than one of them gave.
	if o := got.tenants["org:o_1"]; !o.Suspended || o.Plan != "pro" {
		t.Errorf("a tenant that was suspended in one: %+v", o)
	}
	if o := got.tenants["org:o_2"]; !o.Suspended {
		t.Errorf("a tenant that stayed suspended in one: %+v", o)
	}
	if got.tenants["org:o_3"] != nil {
		t.Error("a tenant that was removed in one is there")
	}
	if p := got.principals["user:ada"].Packed(); p.Member("org:o_1") || !p.Member("org:o_2", "owner") {
		t.Errorf("a principal that has different roles: %+v", p)
	}
}
