//go:build linux && (amd64 || arm64)

package storage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/watermark"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

// feed is what a hub has to tell, the same in each run: by revision.
type feed struct {
	entries   []*logv1.Entry
	states    []contents
	positions []storage.Exported
	exports   [][]byte
}

const feedLength = 24

var theFeed = sync.OnceValue(func() *feed {
	dir, err := os.MkdirTemp("/dev/shm", "latchkey-feed-")
	if err != nil {
		dir, err = os.MkdirTemp("", "latchkey-feed-")
	}
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	f, err := newFeed(filepath.Join(dir, "data"))
	if err != nil {
		panic(err)
	}
	return f
})

func newFeed(dir string) (*feed, error) {
	now := start
	hub, err := storage.Open(dir, storage.Options{Now: func() time.Time { now = now.Add(time.Second); return now }})
	if err != nil {
		return nil, err
	}
	defer hub.Close()
	f := &feed{}
	state := newWorld("", nil).model
	for n := 0; ; n++ {
		var b bytes.Buffer
		e, err := hub.Export(context.Background(), &b)
		if err != nil {
			return nil, err
		}
		f.states, f.positions, f.exports = append(f.states, state), append(f.positions, e), append(f.exports, b.Bytes())
		if n == feedLength {
			break
		}
		c := feedChange(n, state)
		c.Action = fmt.Sprint("feed ", n)
		at, err := hub.Commit(context.Background(), c)
		if err != nil {
			return nil, err
		}
		state = state.with(c)
		state.position = at
	}
	f.entries, err = hub.Log(0, feedLength)
	return f, err
}

// feedChange is the change after revision n.
func feedChange(n int, c contents) storage.Change {
	some := func(i int) *key.Record { return c.keys[numberedID(100*(n-i))] }
	switch n % 6 {
	case 0:
		ch := storage.Change{Tenants: []*directory.Tenant{{ID: fmt.Sprint("org:o_", n)}}}
		for i := range 10 {
			r, _ := numbered(100*n + i)
			ch.Keys = append(ch.Keys, r)
		}
		return ch
	case 1:
		return storage.Change{Keys: []*key.Record{some(1).Revoke(start)}}
	case 2:
		return storage.Change{Principals: []*directory.Principal{{ID: fmt.Sprint("user:u_", n), Memberships: map[string]string{"org:o_0": "owner"}}}}
	case 3:
		return storage.Change{Policies: map[string][]byte{"large": []byte(strings.Repeat(fmt.Sprint(n), 20_000))}}
	case 4:
		return storage.Change{RemovePrincipals: []string{fmt.Sprint("user:u_", n-2)}}
	default:
		return storage.Change{Policies: map[string][]byte{"small": []byte(fmt.Sprint(n))}}
	}
}

// appliesUpTo is a step that applies the entries up to a revision, in one go.
func appliesUpTo(n int) step {
	return func(w *world) error {
		f := theFeed()
		return w.advance(fmt.Sprint("apply up to ", n), func(before contents) (contents, func() (storage.Position, error)) {
			return f.states[n], func() (storage.Position, error) {
				return w.db.Apply(context.Background(), f.entries[before.position.Revision:n])
			}
		})
	}
}

// swapsTo is a step that takes over a snapshot of a revision.
func swapsTo(n int, older bool) step {
	return func(w *world) error {
		name := fmt.Sprint("swap to ", n)
		if w.written[name] {
			return nil
		}
		f := theFeed()
		s, err := staged(w.db, f.positions[n], f.exports[n])
		if err != nil {
			w.tally["staging refused"]++
			wrongRemedy(w, name, err)
			return err
		}
		err = w.advance(name, func(contents) (contents, func() (storage.Position, error)) {
			return f.states[n], func() (storage.Position, error) { return s.Swap(context.Background(), older) }
		})
		return errors.Join(err, s.Discard())
	}
}

// upToDate brings a replica to the end of the feed, by entries or by a snapshot,
// and sees that it believes what it was left as.
func upToDate(w *world) error {
	if err := w.db.Recovered(); err != nil || w.db.Floor() != w.db.Position() {
		w.complain("at %v, floor %v: %v", w.db.Position(), w.db.Floor(), err)
	}
	return catchesUp(w)
}

func catchesUp(w *world) error {
	if w.db.Position().Revision == 0 {
		return swapsTo(feedLength, false)(w)
	}
	return appliesUpTo(feedLength)(w)
}

// trapsTo does a step while one call fails, and goes on.
func trapsTo(call, file string, nth int, name string, s step) step {
	return func(w *world) error {
		if w.pending != nil || w.written[name] {
			return nil
		}
		w.trap.set(call, file, nth)
		err := s(w)
		if w.trap.set("", "", 0) || !errors.Is(err, storage.ErrFailed) {
			return err // other trouble came first
		}
		return nil
	}
}

func replicaScenarios() []*scenario {
	o := storage.Options{Replica: true, LogEntries: 5}
	blank := prepares(opens, closes)
	ready := prepares(opens, swapsTo(6, false), appliesUpTo(8), closes)
	all := []*scenario{
		{name: "a replica's first store", prepare: prepares(), steps: []step{opens, closes}},
		{name: "a replica's first snapshot", prepare: blank, steps: []step{opens, swapsTo(9, false), appliesUpTo(10), closes}},
		{name: "a replica's snapshot of nothing", prepare: blank, steps: []step{opens, swapsTo(0, false), appliesUpTo(3), closes}},
		{name: "a replica follows", prepare: ready, steps: []step{opens, appliesUpTo(9), appliesUpTo(16), appliesUpTo(17), appliesUpTo(22), closes}},
		{name: "a replica's long watermark", limit: 600, prepare: ready, steps: []step{
			opens, appliesUpTo(9), appliesUpTo(10), appliesUpTo(11), appliesUpTo(12), appliesUpTo(14), appliesUpTo(15), appliesUpTo(16), appliesUpTo(17), closes,
		}},
		{name: "a replica's snapshot", prepare: ready, steps: []step{opens, appliesUpTo(10), swapsTo(15, false), appliesUpTo(18), swapsTo(18, false), closes}},
		{name: "a replica goes back on purpose", prepare: ready, steps: []step{opens, swapsTo(3, true), appliesUpTo(5), closes}},
		{
			name: "a replica's entries after a crash before the mark", prepare: prepares(ready, aheadOfMarks(appliesUpTo(13))),
			steps: []step{opens, appliesUpTo(14), closes},
		},
		{
			name: "a replica's snapshot after a crash before the mark", prepare: prepares(ready, aheadOfMarks(swapsTo(13, false))),
			steps: []step{opens, appliesUpTo(14), closes},
		},
		{
			name: "mending a replica's sync that failed", prepare: ready, traps: true,
			steps: []step{opens, trapsTo("fdatasync", storage.FileName, 2, "apply up to 12", appliesUpTo(12)), mends, appliesUpTo(14), closes},
		},
		{
			name: "mending a replica's mark that failed", prepare: ready, traps: true,
			steps: []step{opens, trapsTo("fdatasync", watermark.Name, 2, "apply up to 12", appliesUpTo(12)), mends, appliesUpTo(14), closes},
		},
		{
			name: "a replica opened again after a mark that failed", prepare: ready, traps: true,
			steps: []step{opens, trapsTo("fdatasync", watermark.Name, 2, "apply up to 12", appliesUpTo(12)), dies, opens, appliesUpTo(14), closes},
		},
		{
			name: "mending a replica's name that isn't synced", prepare: ready, traps: true,
			steps: []step{opens, trapsTo("fsync", "data", 1, "swap to 12", swapsTo(12, false)), mends, appliesUpTo(14), closes},
		},
		{
			name: "a replica opened again after a name that isn't synced", prepare: ready, traps: true,
			steps: []step{opens, trapsTo("fsync", "data", 1, "swap to 12", swapsTo(12, false)), dies, opens, appliesUpTo(14), closes},
		},
		{
			name: "a replica's snapshot whose mark failed", prepare: ready, traps: true,
			steps: []step{opens, trapsTo("fdatasync", watermark.Name, 2, "swap to 12", swapsTo(12, false)), dies, opens, appliesUpTo(14), closes},
		},
	}
	for _, s := range all {
		s.options, s.last = o, upToDate
	}
	// What these find isn't what they were left as, and they say so until they
	// are written to.
	gone := func(name string) func(*world) error {
		return prepares(ready, func(w *world) error { return os.Remove(filepath.Join(w.data(), name)) })
	}
	blanked := func(w *world) error {
		w.model = newWorld("", nil).model
		return nil
	}
	return append(all,
		&scenario{name: "a replica without its watermark", options: o, last: catchesUp, prepare: gone(watermark.Name), steps: []step{opens, swapsTo(12, false), closes}},
		&scenario{name: "a replica without its watermark follows", options: o, last: catchesUp, prepare: gone(watermark.Name), steps: []step{opens, appliesUpTo(12), closes}},
		&scenario{
			name: "a replica without its file", options: o, last: catchesUp, prepare: prepares(gone(storage.FileName), blanked),
			steps: []step{opens, swapsTo(12, false), closes},
		},
		&scenario{
			name: "a replica whose file is damaged", options: o, last: catchesUp, prepare: prepares(ready, damages, blanked),
			steps: []step{opens, swapsTo(12, false), closes},
		},
	)
}

// aheadOfMarks does a step and puts back the watermark of before it.
func aheadOfMarks(s step) func(*world) error {
	return func(w *world) error {
		path := filepath.Join(w.data(), watermark.Name)
		before, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return errors.Join(prepares(opens, s, closes)(w), writeSparse(path, before))
	}
}
