//go:build linux && (amd64 || arm64)

package storage_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/watermark"
)

// scenario is what is done to a folder while its disk fails, the process is
// killed, or the power is cut. All of it is the same in each run, key ids and
// times included.
type scenario struct {
	name    string
	options storage.Options
	limit   int64
	prepare func(*world) error // on a good disk
	first   []error            // why a plain Open refuses what was prepared; none: it opens
	midway  []error            // why it may refuse besides, while the folder is taken over
	steps   []step
	check   func(*world) // of the store at the end
	last    step         // that shows that it goes on; nil: a write
	learns  bool         // what a plain Open makes of it is learnt by the steps
	again   bool         // to take over a second time, after trouble, makes one more revision
	traps   bool         // steps make trouble themselves
	kills   bool         // that trouble stands for a kill: what a sync was to write is still to be written
}

// goesOn does one thing more.
func (s *scenario) goesOn(w *world) error {
	if s.last != nil {
		return s.last(w)
	}
	return w.commit("after all", halfWay)
}

// step is done again after an error, until it succeeds.
type step func(*world) error

// numbered returns a key that isn't stored yet, and its token.
func numbered(n int) (*key.Record, key.Token) {
	token := numberedToken(n, 0)
	r := key.Issue(key.Record{
		Policy: "shortkit", Type: "secret", Tenant: "org:o_1", Scopes: []string{"content:read"}, Description: strings.Repeat("words ", 20),
	}, key.Secret{Digest: token.Digest(), Prefix: "sk_live_"}, start)
	r.ID = numberedID(n)
	return r, token
}

func numberedID(n int) string { return fmt.Sprintf("key_%032d", n) }

func numberedToken(n, secret int) key.Token {
	return key.NewToken(fmt.Sprintf("sk_live_%030d_%d", n, secret))
}

// writes is a step that makes a change.
func writes(name string, change func(contents) storage.Change) step {
	return func(w *world) error { return w.commit(name, change) }
}

// issues makes keys; those below reveal may be shown again.
func issues(name string, from, to, reveal int) step {
	return writes(name, func(contents) storage.Change {
		c := storage.Change{Reveal: map[string]key.Token{}}
		for n := from; n < to; n++ {
			r, token := numbered(n)
			c.Keys = append(c.Keys, r)
			if n < reveal {
				c.Reveal[r.ID] = token
			}
		}
		return c
	})
}

// changes makes another key of one.
func changes(name string, n int, f func(*key.Record) (*key.Record, error)) step {
	return writes(name, func(c contents) storage.Change {
		r, err := f(c.keys[numberedID(n)])
		if err != nil {
			panic(err)
		}
		return storage.Change{Keys: []*key.Record{r}}
	})
}

func revokes(n int) step {
	return changes(fmt.Sprint("revoke ", n), n, func(r *key.Record) (*key.Record, error) { return r.Revoke(start.Add(time.Hour)), nil })
}

func rotates(n int) step {
	return changes(fmt.Sprint("rotate ", n), n, func(r *key.Record) (*key.Record, error) {
		return r.Rotate(key.Secret{Digest: numberedToken(n, 1).Digest()}, 0, start.Add(time.Hour))
	})
}

func tenant(name string) step {
	return writes("tenant "+name, func(c contents) storage.Change {
		t := &directory.Tenant{ID: name, Plan: "free"}
		if old := c.tenants[name]; old != nil {
			t.Revision, t.Suspended = old.Revision, true
		}
		return storage.Change{Tenants: []*directory.Tenant{t}}
	})
}

func applies(name, document string, size int) step {
	return writes("apply "+name+document, func(contents) storage.Change {
		return storage.Change{Policies: map[string][]byte{name: []byte(strings.Repeat(document, size))}}
	})
}

func opens(w *world) error  { return w.open() }
func closes(w *world) error { return w.close() }
func mends(w *world) error  { return w.mend() }

// dies lets go of a store as a process does that ends, whatever is still to be done.
func dies(w *world) error {
	if w.db == nil {
		return nil
	}
	return w.close()
}

func prepares(steps ...step) func(*world) error {
	return func(w *world) error {
		for _, s := range steps {
			if err := s(w); err != nil {
				return err
			}
		}
		return nil
	}
}

// small is a store with some of everything.
var small = prepares(opens, issues("base", 0, 30, 6), tenant("org:o_1"), applies("shortkit", "a", 100), revokes(29), closes)

var everyKind = []step{
	opens,
	issues("issue", 100, 101, 101),
	issues("import", 101, 140, 0),
	rotates(0),
	revokes(1),
	changes("disable", 2, (*key.Record).Disable),
	changes("enable", 2, (*key.Record).Enable),
	writes("directory", func(c contents) storage.Change {
		return storage.Change{
			Tenants:    []*directory.Tenant{{ID: "org:o_2"}, {ID: "org:o_1", Plan: "paid", Revision: c.tenants["org:o_1"].Revision}},
			Principals: []*directory.Principal{{ID: "user:ada", Memberships: map[string]string{"org:o_1": "owner"}}},
		}
	}),
	writes("removal", func(contents) storage.Change {
		return storage.Change{RemoveTenants: []string{"org:o_2"}, RemovePrincipals: []string{"user:ada"}}
	}),
	applies("large", "b", 60_000), // so that the file grows
	writes("remove", func(contents) storage.Change {
		return storage.Change{Policies: map[string][]byte{"large": nil, "other": []byte("c")}}
	}),
	closes,
}

// tokensKept sees that of everyKind the tokens are kept that should be.
func tokensKept(w *world) {
	for n, want := range map[int]bool{0: false, 1: false, 2: true, 3: true, 100: true, 101: false} {
		token, kept, err := w.db.RevealedToken(numberedID(n))
		if err != nil || kept != want || kept && token.Reveal() != numberedToken(n, 0).Reveal() {
			w.complain("the token of key %d: kept %v, want %v; %v", n, kept, want, err)
		}
	}
}

// many replaces keys until the watermark has been made shorter.
func many(from, to int) (steps []step) {
	for i := from; i < to; i++ {
		steps = append(steps, changes(fmt.Sprint("update ", i), i%5, func(r *key.Record) (*key.Record, error) {
			name := fmt.Sprint("name ", i)
			return r.Update(key.Update{Name: &name})
		}))
	}
	return steps
}

// older puts back the store's file of before some writes.
func older(w *world) error {
	if err := small(w); err != nil {
		return err
	}
	before, err := os.ReadFile(w.file())
	if err != nil {
		return err
	}
	if err := prepares(opens, revokes(1), revokes(3), changes("disable", 2, (*key.Record).Disable), issues("issue", 100, 102, 0), closes)(w); err != nil {
		return err
	}
	return writeSparse(w.file(), before)
}

// backedUp leaves a backup of before some writes.
func backedUp(w *world) error {
	if err := prepares(small, opens)(w); err != nil {
		return err
	}
	if _, err := w.db.Backup(context.Background(), filepath.Join(w.base, "backup")); err != nil {
		return err
	}
	return prepares(revokes(1), revokes(3), changes("disable", 2, (*key.Record).Disable), issues("issue", 100, 102, 0), closes)(w)
}

// damages turns a byte of the newest store.
func damages(w *world) error {
	b, err := os.ReadFile(w.file())
	if err != nil {
		return err
	}
	b[16+64-1] ^= 1 // of both meta pages
	b[os.Getpagesize()+16+64-1] ^= 1
	return writeSparse(w.file(), b)
}

func takesOver(act func(*world) error, found func(*world) (contents, error)) step {
	return func(w *world) error {
		return w.takeOver(func() error { return act(w) }, func() (contents, error) { return found(w) })
	}
}

func dumped(w *world) (contents, error) { return dump(w.db), nil }

// accepts opens an older file on purpose.
func accepts(w *world) error {
	o := w.plain()
	o.AcceptRollback = true
	db, err := storage.Open(w.data(), o)
	if err == nil {
		w.db = db
	}
	return err
}

func restores(w *world) error {
	_, err := storage.Restore(w.data(), filepath.Join(w.base, "backup"), w.plain())
	wrongRemedy(w, "Restore", err)
	return err
}

// looks opens and closes the store, on whatever disk there is.
func looks(w *world) (contents, error) {
	db, err := storage.Open(w.data(), w.plain())
	if err != nil {
		wrongRemedy(w, "Open", err)
		return contents{}, err
	}
	return dump(db), db.Close()
}

// withdrawn sees that what was taken away since the older file is taken away again.
func withdrawn(w *world) {
	for n, ok := range map[int]bool{
		1: !w.model.keys[numberedID(1)].Revoked.IsZero(), 3: !w.model.keys[numberedID(3)].Revoked.IsZero(),
		2: w.model.keys[numberedID(2)].Disabled, 100: w.model.keys[numberedID(100)] == nil,
	} {
		if !ok {
			w.complain("key %d is back as it was", n)
		}
	}
}

// format1 is the store of an earlier version.
func format1(w *world) error {
	f, err := os.Open(filepath.Join("testdata", "format1.db.gz"))
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	b, err := io.ReadAll(z)
	if err != nil {
		return err
	}
	return errors.Join(os.Mkdir(w.data(), 0o700), writeSparse(w.file(), b))
}

func openOld(w *world) error {
	db, err := storage.Open(w.data(), w.plain())
	if err == nil {
		w.db = db
	}
	wrongRemedy(w, "Open", err)
	return err
}

// quarantines opens a damaged file, which is refused and put aside.
func quarantines(w *world) error {
	if w.written["quarantine"] {
		return nil
	}
	_, err := storage.Open(w.data(), w.plain())
	switch {
	case errors.Is(err, storage.ErrMissing):
		w.written["quarantine"] = true
		names, globErr := filepath.Glob(w.file() + ".damaged-*")
		if globErr != nil || len(names) != 1 {
			w.complain("in quarantine: %v, %v", names, globErr)
		}
		return nil
	case err == nil:
		w.complain("a damaged file was opened")
	}
	return err // ErrDamaged at first, or trouble of the disk
}

func backsUp(w *world) error {
	path := filepath.Join(w.base, fmt.Sprint("copy ", w.tally["Backup refused"]))
	_, err := w.db.Backup(context.Background(), path)
	if err != nil {
		w.tally["Backup refused"]++
		// Unless removing failed too, and the error says so.
		if left, _ := filepath.Glob(path + "*"); len(left) > 0 && !strings.Contains(err.Error(), "remove "+path) {
			w.complain("a failed backup leaves %v: %v", left, err)
		}
		return err
	}
	report, err := storage.Verify(path)
	if err != nil || len(report.Problems) > 0 || report.Position != w.model.position {
		w.complain("the backup is %+v, %v", report, err)
	}
	w.kept = append(slices.Clone(w.kept), filepath.Base(path))
	w.expect(is(w.model))
	return nil
}

// tripping does a step during which one call fails; it is left at that.
func tripping(call, file string, nth int, s step) step {
	return func(w *world) error {
		if w.written["tripped"] {
			return nil
		}
		w.trap.set(call, file, nth)
		err := s(w)
		if w.trap.set("", "", 0) { // it wasn't reached
			return errors.Join(err, dies(w))
		}
		if err == nil {
			w.complain("the %s of %s fails, and nobody says so", call, file)
		}
		w.written["tripped"] = true
		return nil
	}
}

var halfWay = func(contents) storage.Change {
	return storage.Change{Policies: map[string][]byte{"half": []byte("way")}}
}

// trapping writes while one call fails.
func trapping(call, file string, nth int) step {
	return func(w *world) error { return w.trapped("half-way", halfWay, call, file, nth) }
}

// ahead leaves the file one revision ahead of the watermark.
func ahead(w *world) error {
	if err := small(w); err != nil {
		return err
	}
	path := filepath.Join(w.data(), watermark.Name)
	before, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := prepares(opens, tenant("org:o_1"), closes)(w); err != nil {
		return err
	}
	return writeSparse(path, before)
}

func scenarios() []*scenario {
	keep := storage.Options{LogEntries: 5}
	missing := func(w *world) error { return os.Remove(w.file()) }
	empty := func(w *world) error {
		w.model = newWorld("", nil).model
		return os.RemoveAll(w.data())
	}
	restore, accept, upgrade := takesOver(restores, looks), takesOver(accepts, dumped), takesOver(openOld, dumped)
	return append(replicaScenarios(), []*scenario{
		{name: "a new store", prepare: prepares(), steps: []step{opens, tenant("org:o_1"), closes}},
		{name: "writes of every kind", options: keep, prepare: small, steps: everyKind, check: tokensKept},
		{
			name: "a long watermark", options: keep, limit: 8000, prepare: prepares(small, opens, prepares(many(0, 12)...), closes),
			steps: slices.Concat([]step{opens}, many(12, 26), []step{closes}),
		},
		{name: "opened again and again", prepare: small, steps: []step{opens, closes, opens, closes}},
		{name: "opened after a crash between file and watermark", prepare: ahead, steps: []step{opens, tenant("org:o_2"), closes}},
		{
			name: "mending a sync that failed", prepare: small, traps: true,
			steps: []step{opens, trapping("fdatasync", storage.FileName, 2), mends, tenant("org:o_2"), closes},
		},
		{
			name: "opened again after a sync that failed", prepare: small, traps: true,
			steps: []step{opens, trapping("fdatasync", storage.FileName, 2), dies, opens, tenant("org:o_2"), closes},
		},
		{
			name: "opened again after a kill before a sync", prepare: small, traps: true, kills: true,
			steps: []step{opens, trapping("fdatasync", storage.FileName, 2), dies, opens, tenant("org:o_2"), closes},
		},
		{
			name: "opened again after a mark that failed", prepare: small, traps: true,
			steps: []step{opens, trapping("fdatasync", watermark.Name, 2), dies, opens, tenant("org:o_2"), closes},
		},
		{
			name: "mending a mark that failed", prepare: small, traps: true,
			steps: []step{opens, trapping("fdatasync", watermark.Name, 2), mends, tenant("org:o_2"), closes},
		},
		{name: "a backup", prepare: small, steps: []step{opens, tenant("org:o_2"), backsUp, tenant("org:o_3"), closes}},
		{name: "a restore", prepare: backedUp, steps: []step{restore}, check: withdrawn},
		{
			name: "a restore of a damaged store", prepare: prepares(backedUp, damages), first: []error{storage.ErrDamaged, storage.ErrMissing},
			steps: []step{restore}, check: withdrawn,
		},
		{
			name: "an accepted rollback", prepare: older, first: []error{storage.ErrRollback},
			steps: []step{accept, tenant("org:o_2"), closes}, check: withdrawn,
		},
		{
			name: "an accepted loss of the watermark", prepare: prepares(small, func(w *world) error { return os.Remove(filepath.Join(w.data(), watermark.Name)) }),
			first: []error{storage.ErrUnproven}, again: true, steps: []step{accept, tenant("org:o_2"), closes},
		},
		{name: "a store of format 1", prepare: format1, learns: true, steps: []step{upgrade, tenant("org:new"), closes}},
		{name: "a restore of a missing store", prepare: prepares(backedUp, missing), first: []error{storage.ErrMissing}, steps: []step{restore}, check: withdrawn},
		{name: "a restore to an empty folder", prepare: prepares(backedUp, empty), midway: []error{storage.ErrUnproven}, steps: []step{restore}},
		{
			name: "a new store whose name isn't synced", prepare: prepares(), traps: true,
			steps: []step{tripping("fsync", "data", 2, opens), opens, tenant("org:o_1"), closes},
		},
		{
			name: "a restore that isn't synced", prepare: backedUp, traps: true,
			steps: []step{tripping("fsync", "data", 2, restore), restore}, check: withdrawn,
		},
		{
			name: "a restore whose mark isn't synced", prepare: backedUp, traps: true,
			steps: []step{tripping("fdatasync", watermark.Name, 2, restore), restore}, check: withdrawn,
		},
		{
			name: "an accepted rollback that isn't synced", prepare: older, first: []error{storage.ErrRollback}, traps: true,
			steps: []step{tripping("fdatasync", storage.FileName, 2, accept), accept, tenant("org:o_2"), closes}, check: withdrawn,
		},
		{
			name: "an accepted rollback, killed before it is synced", prepare: older, first: []error{storage.ErrRollback}, traps: true, kills: true,
			steps: []step{tripping("fdatasync", storage.FileName, 2, accept), accept, tenant("org:o_2"), closes}, check: withdrawn,
		},
		{
			name: "a store of format 1 whose name isn't synced", prepare: format1, learns: true, traps: true,
			steps: []step{tripping("fsync", "data", 2, upgrade), upgrade, tenant("org:new"), closes},
		},
		{name: "a damaged store", prepare: prepares(small, damages), first: []error{storage.ErrDamaged, storage.ErrMissing}, steps: []step{quarantines}},
	}...)
}
