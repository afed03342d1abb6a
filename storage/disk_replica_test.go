//go:build linux && (amd64 || arm64)

package storage_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/latchkey/latchkey/internal/faults"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// Each of many steps of a replica, by entries and by snapshots, finds the disk
// full, with a little more room at each attempt. What is refused isn't seen, and
// leaves nothing behind; and room is all that is needed to go on.
func TestDiskFullAtEachStepOfAReplica(t *testing.T) {
	inFaultyChild(t, func() {
		steps := 40
		if testing.Short() {
			steps = 10
		}
		if thorough() {
			steps = 200
		}
		hub := storagetest.New(t)
		d := newSmallDisk(t, 160<<20)
		w := newWorld(d.dir, t.Errorf)
		w.options = storage.Options{Replica: true, LogEntries: 10}
		if err := w.open(); err != nil {
			t.Fatal(err)
		}
		at, tally := newWorld("", nil).model, map[string]int{}
		for i := range steps {
			for range 1 + i%4 {
				c := growing(4*i+int(hub.Position().Revision)*1000, at)
				at = at.with(c)
				at.position = commit(t, hub, c)
			}
			name := fmt.Sprint("step ", i)
			for pages := int64(0); !w.written[name]; pages++ {
				if pages > 2000 {
					t.Fatalf("%s: refused with %d free pages", name, pages)
				}
				d.leave(pages)
				err := replicaStep(t, w, hub, name, at, i%5 == 0)
				if err == nil {
					continue
				}
				tally[stageOf(err)]++
				if left, err := filepath.Glob(filepath.Join(w.data(), "*.staged*")); len(left) > 0 || err != nil {
					t.Fatalf("%s: it leaves %v, %v", name, left, err)
				}
				if pages > 8 {
					pages += pages / 2
				}
			}
			if i%10 == 0 {
				again(t, w, d)
			}
		}
		again(t, w, d)
		if err := w.db.Recovered(); err != nil {
			t.Error(err)
		}
		if err := w.close(); err != nil {
			t.Error(err)
		}
		t.Logf("%d steps: %s; %s", steps, counts(tally), counts(w.tally))
		if tally["ErrDisk at the store"] < steps/2 {
			t.Error("too few to mean anything")
		}
	}, faults.Isolate)
}

// replicaStep brings a replica to where its hub is.
func replicaStep(t *testing.T, w *world, hub *storage.DB, name string, next contents, whole bool) error {
	t.Helper()
	if !whole {
		return w.advance(name, func(before contents) (contents, func() (storage.Position, error)) {
			return next, func() (storage.Position, error) {
				return w.db.Apply(background, entriesAfter(t, hub, before.position.Revision))
			}
		})
	}
	e, b := exported(t, hub)
	s, err := staged(w.db, e, b)
	if err != nil {
		if !errors.Is(err, storage.ErrDisk) {
			t.Errorf("%s: not ErrDisk: %v", name, err)
		}
		return err
	}
	err = w.advance(name, func(contents) (contents, func() (storage.Position, error)) {
		return next, func() (storage.Position, error) { return s.Swap(background, false) }
	})
	return errors.Join(err, s.Discard())
}
