// Package ledgertest is the suite that every admin.Ledger passes: what package admin relies on, beside what Go says.
package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey/latchkey/admin"
	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	"github.com/latchkey/latchkey/storage"
)

// Compiler is what a ledger of the suite must be opened with: storage.Options.Compile. It refuses documents that say
// "bad", and makes the names of the others.
func Compiler(documents map[string][]byte) (any, error) {
	var names []string
	for name, document := range documents {
		if strings.Contains(string(document), "bad") {
			return nil, errBad
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, " "), nil
}

var errBad = errors.New("a bad document")

// Run runs the suite. open returns an empty ledger, opened with Compiler, that lasts as long as the test that it is
// given.
func Run(t *testing.T, open func(t *testing.T) admin.Ledger) {
	for _, one := range []struct {
		name string
		test func(*testing.T, admin.Ledger)
	}{
		{"a commit is seen by every view that follows", seen},
		{"a change of nothing is no write", nothing},
		{"who was overtaken is told, and has changed nothing", overtaken},
		{"a change based on another position is refused", based},
		{"a digest belongs to one key for ever", duplicate},
		{"a revoked key stays so", final},
		{"policies that can't be used together are refused", refused},
		{"a change is there as a whole or not at all", whole},
		{"keys are listed by id while others write", listed},
		{"of many who write the same, one goes first", contended},
		{"a kept token is shown until it is replaced or revoked", revealed},
		{"each write is told with who did it and why, the newest first", told},
		{"a write that isn't waited for changes nothing", canceled},
	} {
		t.Run(one.name, func(t *testing.T) { one.test(t, open(t)) })
	}
}

// token is the token of a key of the suite.
func token(n, generation int) key.Token {
	return key.NewToken(fmt.Sprintf("sk_%030d%06d", n, generation))
}

// record is a key of the suite.
func record(n int) *key.Record {
	return &key.Record{
		ID: fmt.Sprintf("key_%032x", n), Policy: "p", Type: "t", Tenant: "team:t_1", Created: time.Unix(1_700_000_000, 0).UTC(),
		Secrets: []key.Secret{{Digest: token(n, 0).Digest(), Prefix: "sk_", Last4: "0000", Created: time.Unix(1_700_000_000, 0).UTC()}},
	}
}

func change(keys ...*key.Record) storage.Change {
	return storage.Change{Operator: "uid:0", Action: "test", Keys: keys}
}

func commit(t *testing.T, l admin.Ledger, c storage.Change) storage.Position {
	t.Helper()
	at, err := l.Commit(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// refuse commits what must be refused, and sees that nothing has changed.
func refuse(t *testing.T, l admin.Ledger, c storage.Change, want error) {
	t.Helper()
	before := position(l)
	if at, err := l.Commit(t.Context(), c); !errors.Is(err, want) {
		t.Errorf("committed at %s, %v; want %v", at, err, want)
	}
	if after := position(l); after != before {
		t.Errorf("the ledger went from %s to %s", before, after)
	}
}

func position(l admin.Ledger) (at storage.Position) {
	l.View(func(v *storage.View) { at = v.Position() })
	return at
}

// load returns a key as the ledger has it.
func load(t *testing.T, l admin.Ledger, n int) (r *key.Record) {
	t.Helper()
	var err error
	l.View(func(v *storage.View) { r, err = v.Key(record(n).ID) })
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func seen(t *testing.T, l admin.Ledger) {
	if err := l.Missing(record(1).ID); err != nil {
		t.Errorf("a key that never was is missing: %v", err)
	}
	c := change(record(1))
	c.Tenants = []*directory.Tenant{{ID: "team:t_1"}}
	c.Policies = map[string][]byte{"p": []byte("good")}
	at := commit(t, l, c)
	l.View(func(v *storage.View) {
		var f key.Facts
		_, tenant := v.Tenant("team:t_1")
		if v.Position() != at || !v.Lookup(token(1, 0).Digest(), &f) || f.ID != key.ParseID(record(1).ID) || !tenant || v.Policies() != "p" {
			t.Errorf("at %s, after a commit at %s: key %v, tenant %v, policies %v", v.Position(), at, f.ID, tenant, v.Policies())
		}
	})
	if r := load(t, l, 1); r == nil || r.Revision != at.Revision {
		t.Errorf("the key is %+v, written at revision %d", r, at.Revision)
	}
	next := commit(t, l, change(record(2)))
	if next.Epoch != at.Epoch || next.Revision != at.Revision+1 || next.Digest == at.Digest {
		t.Errorf("after %s comes %s", at, next)
	}
	tenants, principals, _ := l.Directory()
	if len(tenants) != 1 || len(principals) != 0 {
		t.Errorf("the directory has %d tenants and %d principals", len(tenants), len(principals))
	}
}

func nothing(t *testing.T, l admin.Ledger) {
	at := commit(t, l, change(record(1)))
	if same := commit(t, l, storage.Change{Operator: "uid:0", Action: "test"}); same != at {
		t.Errorf("nothing was written at %s, after %s", same, at)
	}
}

func overtaken(t *testing.T, l admin.Ledger) {
	commit(t, l, change(record(1)))
	first, second := load(t, l, 1).Clone(), load(t, l, 1).Clone()
	first.Name, second.Name = "first", "second"
	commit(t, l, change(first))
	refuse(t, l, change(second), key.ErrConflict)
	refuse(t, l, change(record(1)), key.ErrConflict)
	if r := load(t, l, 1); r.Name != "first" {
		t.Errorf("the key is called %q", r.Name)
	}
}

func based(t *testing.T, l admin.Ledger) {
	before := commit(t, l, change(record(1)))
	commit(t, l, change(record(2)))
	c := change(record(3))
	c.Based = before
	refuse(t, l, c, key.ErrConflict)
	c.Based = position(l)
	commit(t, l, c)
}

func duplicate(t *testing.T, l admin.Ledger) {
	commit(t, l, change(record(1)))
	other := record(2)
	other.Secrets[0].Digest = token(1, 0).Digest()
	refuse(t, l, change(other), key.ErrDuplicate)
	twin := record(3)
	twin.Secrets[0].Digest = token(4, 0).Digest()
	refuse(t, l, change(twin, record(4)), key.ErrDuplicate)
	commit(t, l, change(load(t, l, 1).Revoke(time.Now())))
	refuse(t, l, change(other), key.ErrDuplicate)
}

func final(t *testing.T, l admin.Ledger) {
	commit(t, l, change(record(1)))
	commit(t, l, change(load(t, l, 1).Revoke(time.Now())))
	alive := load(t, l, 1).Clone()
	alive.Revoked = time.Time{}
	refuse(t, l, change(alive), key.ErrRevoked)
}

func refused(t *testing.T, l admin.Ledger) {
	good := storage.Change{Operator: "uid:0", Action: "test", Policies: map[string][]byte{"p": []byte("good")}}
	commit(t, l, good)
	bad := good
	bad.Policies = map[string][]byte{"q": []byte("bad")}
	refuse(t, l, bad, errBad)
	l.View(func(v *storage.View) {
		if v.Policies() != "p" {
			t.Errorf("the policies are %v", v.Policies())
		}
	})
}

func whole(t *testing.T, l admin.Ledger) {
	commit(t, l, change(record(1)))
	c := change(record(2), record(1)) // the second of them is there already
	c.Tenants = []*directory.Tenant{{ID: "team:t_1"}}
	refuse(t, l, c, key.ErrConflict)
	if load(t, l, 2) != nil {
		t.Error("half of a change is there")
	}
}

func listed(t *testing.T, l admin.Ledger) {
	const n = 600 // more than are read in one go
	for start := 0; start < n; start += 100 {
		var some []*key.Record
		for i := range 100 {
			some = append(some, record(start+i))
		}
		commit(t, l, change(some...))
	}
	var ids []string
	at, err := l.Keys("", func(r *key.Record) bool {
		if len(ids) == 10 {
			if _, err := l.Commit(t.Context(), change(record(n))); err != nil {
				t.Error(err)
			}
		}
		ids = append(ids, r.ID)
		return true
	})
	if err != nil || len(ids) < n || !slices.IsSorted(ids) || at.Revision != n/100 {
		t.Errorf("%d keys at %s, in order %v, %v", len(ids), at, slices.IsSorted(ids), err)
	}
	var after []string
	if _, err := l.Keys(ids[n-2], func(r *key.Record) bool { after = append(after, r.ID); return len(after) < 1 }); err != nil || !slices.Equal(after, ids[n-1:n]) {
		t.Errorf("after %s come %v, %v", ids[n-2], after, err)
	}
	facts := 0
	l.Facts(func(*key.Facts) bool { facts++; return true })
	if facts != n+1 {
		t.Errorf("facts of %d keys", facts)
	}
}

func contended(t *testing.T, l admin.Ledger) {
	commit(t, l, change(record(1)))
	const writers, writes = 4, 10
	var wait sync.WaitGroup
	for range writers {
		wait.Go(func() {
			for done := 0; done < writes; {
				var r *key.Record
				l.View(func(v *storage.View) { r, _ = v.Key(record(1).ID) })
				next := r.Clone()
				next.Description += "x"
				switch _, err := l.Commit(t.Context(), change(next)); {
				case err == nil:
					done++
				case !errors.Is(err, key.ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	if got := len(load(t, l, 1).Description); got != writers*writes {
		t.Errorf("%d of %d writes are there", got, writers*writes)
	}
}

func revealed(t *testing.T, l admin.Ledger) {
	c := change(record(1))
	c.Reveal = map[string]key.Token{record(1).ID: token(1, 0)}
	commit(t, l, c)
	expect := func(want string) {
		t.Helper()
		got, found, err := l.RevealedToken(record(1).ID)
		if err != nil || found != (want != "") || found && got.Reveal() != want {
			t.Errorf("a token is shown: %v, %v; want %v", found, err, want != "")
		}
	}
	expect(token(1, 0).Reveal())
	next, err := load(t, l, 1).Rotate(key.Secret{Digest: token(1, 1).Digest(), Prefix: "sk_", Last4: "0001"}, 0, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	commit(t, l, change(next))
	expect("")
	commit(t, l, change(load(t, l, 1).Revoke(time.Now())))
	expect("")
}

func canceled(t *testing.T, l admin.Ledger) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	before := position(l)
	if _, err := l.Commit(ctx, change(record(1))); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if position(l) != before || load(t, l, 1) != nil {
		t.Error("it was written")
	}
}

func told(t *testing.T, l admin.Ledger) {
	if oldest, err := l.History(0, func(*logv1.Entry) bool { t.Error("there is an entry before the first write"); return false }); err != nil || oldest != (storage.Oldest{}) {
		t.Errorf("before the first write: %+v, %v", oldest, err)
	}
	for n := range 3 {
		c := change(record(n))
		c.Acting, c.Note = "user:ada", fmt.Sprint(n)
		commit(t, l, c)
	}
	newest := position(l).Revision
	var notes []string
	take := func(e *logv1.Entry) bool {
		if len(e.GetPuts()) != 1 || e.GetOperator() != "uid:0" || e.GetActing() != "user:ada" || e.GetAction() != "test" || e.GetAt() == nil {
			t.Errorf("an entry is %v", e)
		}
		notes = append(notes, e.GetNote())
		return len(notes) < 4
	}
	oldest, err := l.History(0, take)
	if err != nil || oldest.Revision != newest-2 || oldest.At.IsZero() || fmt.Sprint(notes) != "[2 1 0]" {
		t.Errorf("notes %v, back to %+v; %v", notes, oldest, err)
	}
	notes = nil
	if oldest, err = l.History(newest, take); err != nil || oldest.Revision != newest-2 || fmt.Sprint(notes) != "[1 0]" {
		t.Errorf("before the newest: notes %v, back to %+v; %v", notes, oldest, err)
	}
}
