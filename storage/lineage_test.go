package storage_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/watermark"
)

// files is what a data folder holds, by name. The lock isn't among it.
type files map[string][]byte

func readFiles(t failer, dir string) files {
	t.Helper()
	got := files{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, e := range entries {
		if e.Name() == "latchkey.lock" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatalf("%v", err)
		}
		got[e.Name()] = b
	}
	return got
}

// into makes a folder hold these files and no others.
func (f files) into(t failer, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatalf("%v", err)
	}
	for name := range readFiles(t, dir) {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatalf("%v", err)
		}
	}
	for name, b := range f {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatalf("%v", err)
		}
	}
}

// with returns the files with one more, or without one where it is nil.
func (f files) with(name string, b []byte) files {
	c := maps.Clone(f)
	if c[name] = b; b == nil {
		delete(c, name)
	}
	return c
}

func (f files) same(o files) bool { return maps.EqualFunc(f, o, bytes.Equal) }

// names returns the names with a prefix.
func (f files) names(prefix string) (names []string) {
	for name := range f {
		if len(name) >= len(prefix) && name[:len(prefix)] == prefix {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// moment is a store at one revision: what it told, and its files.
type moment struct {
	contents
	files
}

// history is a store's life, revision by revision.
type history struct {
	*machine
	moments []moment // the first is of the new store
}

// live opens a store and takes it through random changes.
func live(t *rapid.T, dir string, least, most int) *history {
	h := &history{machine: newMachine(t, dir)}
	h.record(t)
	h.more(t, rapid.IntRange(least, most).Draw(t, "revisions"))
	return h
}

// more makes so many revisions.
func (h *history) more(t *rapid.T, revisions int) {
	for end := len(h.moments) + revisions; len(h.moments) < end; {
		before := h.db.Position()
		switch rapid.IntRange(0, 9).Draw(t, "step") {
		case 0, 1:
			h.Issue(t)
		case 2, 3:
			h.Directory(t)
		case 4:
			h.Policy(t)
		default:
			h.Transition(t)
		}
		if h.db.Position() != before {
			h.record(t)
		}
	}
}

// record remembers the moment.
func (h *history) record(t failer) {
	t.Helper()
	h.moments = append(h.moments, moment{dump(h.db), readFiles(t, h.dir)})
}

// newest returns the newest moment.
func (h *history) newest() moment { return h.moments[len(h.moments)-1] }

// takeAway returns what a store becomes when what it had lost since is taken
// from it again, and the objects that had lost something.
func takeAway(old, now contents) (want contents, lost []string) {
	revision := old.position.Revision + 1
	want = contents{keys: map[string]*key.Record{}, tenants: map[string]*directory.Tenant{}, principals: map[string]*directory.Principal{}, documents: old.documents}
	for id, r := range old.keys {
		next, words := r.Withdraw(now.keys[id])
		if len(words) > 0 {
			lost = append(lost, "key "+id)
			next.Revision = revision
		}
		want.keys[id] = next
	}
	for id, r := range old.tenants {
		next := *r
		if n := now.tenants[id]; n != nil {
			next.Plan, next.Parent, next.Suspended = n.Plan, n.Parent, n.Suspended || r.Suspended
		}
		if now.tenants[id] != nil {
			want.tenants[id] = &next
		}
		if now.tenants[id] == nil || next != *r {
			lost = append(lost, "tenant "+id)
			next.Revision = revision
		}
	}
	for id, r := range old.principals {
		next := *r
		if n := now.principals[id]; n != nil {
			next.Memberships, next.Permissions, next.Suspended = n.Memberships, n.Permissions, n.Suspended || r.Suspended
			want.principals[id] = &next
		}
		if now.principals[id] == nil || !samePrincipal(&next, r) {
			lost = append(lost, "principal "+id)
			next.Revision = revision
		}
	}
	slices.Sort(lost)
	return want, lost
}

// checkWithdrawn checks a store that went on from an older one.
func checkWithdrawn(t failer, db *storage.DB, old, now contents) {
	t.Helper()
	got := dump(db)
	want, _ := takeAway(old, now)
	want.position = got.position
	if diff := want.diff(got); diff != "" {
		t.Fatalf("%s aren't as they should be", diff)
	}
	if got.position.Revision != old.position.Revision+1 || got.position.Epoch <= now.position.Epoch || got.position.Epoch <= old.position.Epoch {
		t.Fatalf("it is at %v, after %v and %v", got.position, old.position, now.position)
	}
	// what takeAway returns follows from key.Withdraw. This is what it is for.
	for id, r := range now.keys {
		k := got.keys[id]
		if old.keys[id] == nil {
			if k != nil {
				t.Fatalf("key %s, which was made later, is there", id)
			}
			continue
		}
		for _, s := range r.Secrets {
			for _, at := range []time.Time{start, s.Until, s.Until.Add(-1), r.Expires, r.Expires.Add(-1), start.Add(time.Hour)} {
				if was, is := r.StatusOf(s.Digest, at), k.StatusOf(s.Digest, at); !allows(was) && allows(is) {
					t.Fatalf("key %s is %s and was %s", id, is, was)
				}
			}
		}
	}
	if err := db.Check(); err != nil {
		t.Fatalf("check: %v", err)
	}
}

func allows(s key.Status) bool { return s == key.Active || s == key.Retiring }

// named returns objects as takeAway tells them.
func named(list []storage.Withdrawn) (names []string) {
	for _, w := range list {
		names = append(names, w.Kind+" "+w.Name)
	}
	slices.Sort(names)
	return names
}

// reopen closes a store and opens it again, which must be as it was.
func reopen(t failer, db *storage.DB, dir string, o storage.Options) *storage.DB {
	t.Helper()
	before := dump(db)
	if err := db.Close(); err != nil {
		t.Fatalf("closing: %v", err)
	}
	again := mustOpen(t, dir, o)
	if diff := before.diff(dump(again)); diff != "" {
		t.Fatalf("opened again, %s differ", diff)
	}
	return again
}

func mustOpen(t failer, dir string, o storage.Options) *storage.DB {
	t.Helper()
	db, err := storage.Open(dir, o)
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	return db
}

func mustClose(t failer, db *storage.DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Fatalf("closing: %v", err)
	}
}

// folders returns a function that names a new folder for each run of a property.
func folders(dir string) func() string {
	n := 0
	return func() string {
		n++
		return filepath.Join(dir, fmt.Sprint(n))
	}
}

const markName = watermark.Name
