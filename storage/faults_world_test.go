//go:build linux && (amd64 || arm64)

package storage_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/internal/faults"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
)

// outcome is what an Open may find: one of some states of the store, or it may
// refuse for one of some reasons.
type outcome struct {
	states  []contents
	refused []error
	kept    []string // backups that must be there, by their names in the folder
}

func is(states ...contents) outcome { return outcome{states: states} }

// allows returns nil for what Open returned, if that may be.
func (o outcome) allows(db *storage.DB, err error) error {
	if err != nil {
		for _, kind := range o.refused {
			if errors.Is(err, kind) {
				return nil
			}
		}
		return fmt.Errorf("Open: %w", err)
	}
	var diffs []string
	have := dump(db)
	for _, want := range o.states {
		diff := objectsDiffer(want, have)
		if diff == "" {
			return nil
		}
		diffs = append(diffs, fmt.Sprintf("%s (of revision %d)", diff, want.position.Revision))
	}
	return fmt.Errorf("the store is at %v and none of those it may be: %v differ", have.position, diffs)
}

// objectsDiffer is contents.diff for states of which the lineage and the digest aren't known.
func objectsDiffer(a, b contents) string {
	if a.position.Revision != b.position.Revision {
		return "revision"
	}
	b.position = a.position
	return a.diff(b)
}

// world is a store in a folder of a test, and what it must hold.
type world struct {
	base     string
	options  storage.Options
	limit    int64 // of the watermark, unless it is zero
	now      time.Time
	db       *storage.DB // nil while it is closed
	model    contents    // what was acknowledged
	after    *contents   // what a step that takes the folder over makes of it; nil: to be learnt
	again    bool        // whether taking over twice makes two revisions
	first    outcome     // of opening what was prepared
	midway   []error     // why a plain Open may refuse while a step takes the folder over
	pending  *contents   // what it becomes if the write that failed half-way is there
	writing  string      // the name of that write
	written  map[string]bool
	kept     []string      // backups that were acknowledged
	expected func(outcome) // is told what may be in the folder from now on
	trap     trap
	commits  bool           // whether a failed write is followed by a write, not by Mend
	tally    map[string]int // of answers
	complain func(format string, args ...any)
}

func newWorld(base string, complain func(string, ...any)) *world {
	return &world{
		base: base, now: start, complain: complain, written: map[string]bool{}, tally: map[string]int{}, expected: func(outcome) {},
		model: contents{
			keys: map[string]*key.Record{}, tenants: map[string]*directory.Tenant{},
			principals: map[string]*directory.Principal{}, documents: map[string][]byte{},
		},
	}
}

// expect tells what may be in the folder from now on.
func (w *world) expect(o outcome) {
	o.kept = w.kept
	w.expected(o)
}

func (w *world) data() string { return filepath.Join(w.base, "data") }
func (w *world) file() string { return filepath.Join(w.data(), storage.FileName) }

// plain are the options without any acceptance.
func (w *world) plain() storage.Options {
	o := w.options
	o.AcceptRollback = false
	o.LockTimeout = 50 * time.Millisecond
	o.Now = func() time.Time { w.now = w.now.Add(time.Second); return w.now }
	return o
}

// with returns the contents that a change leads to.
func (c contents) with(ch storage.Change) contents {
	c.keys, c.tenants, c.principals, c.documents = maps.Clone(c.keys), maps.Clone(c.tenants), maps.Clone(c.principals), maps.Clone(c.documents)
	c.position.Revision++
	for _, r := range ch.Keys {
		r = r.Clone()
		r.Revision = c.position.Revision
		c.keys[r.ID] = r
	}
	for _, o := range ch.Tenants {
		o := *o
		o.Revision = c.position.Revision
		c.tenants[o.ID] = &o
	}
	for _, p := range ch.Principals {
		p := *p
		p.Revision = c.position.Revision
		c.principals[p.ID] = &p
	}
	for _, id := range ch.RemoveTenants {
		delete(c.tenants, id)
	}
	for _, id := range ch.RemovePrincipals {
		delete(c.principals, id)
	}
	for name, document := range ch.Policies {
		c.documents[name] = document
		if document == nil {
			delete(c.documents, name)
		}
	}
	return c
}

// differs is objectsDiffer for what was taken over, perhaps several times.
func (w *world) differs(a, b contents) string {
	if w.again && b.position.Revision > a.position.Revision {
		b.position = a.position
	}
	return objectsDiffer(a, b)
}

// see compares what Views tell with what must be there.
func (w *world) see(when string) {
	if diff := objectsDiffer(w.model, dump(w.db)); diff != "" {
		w.complain("%s: %s differ from what was acknowledged", when, diff)
	}
}

// settle finds out what became of a write that failed half-way.
func (w *world) settle(err error) {
	switch {
	case w.pending == nil:
	case w.db.Position().Revision == w.pending.position.Revision:
		w.tally["half-way, and there"]++
		w.written[w.writing] = true
		w.model, w.pending = *w.pending, nil
		w.model.position = w.db.Position()
	case !errors.Is(err, storage.ErrFailed):
		w.tally["half-way, and not there"]++
		w.pending = nil
	}
}

// commit makes a write, unless it was made already: after an error it is called again.
func (w *world) commit(name string, change func(contents) storage.Change) error {
	return w.advance(name, func(before contents) (contents, func() (storage.Position, error)) {
		c := change(before)
		c.Action, c.Based = name, before.position
		return before.with(c), func() (storage.Position, error) { return w.db.Commit(context.Background(), c) }
	})
}

// advance is commit for whatever takes the store from one state to the next.
func (w *world) advance(name string, prepare func(before contents) (next contents, act func() (storage.Position, error))) error {
	if w.pending != nil && !w.commits {
		if err := w.mend(); err != nil {
			return err
		}
	}
	if w.written[name] {
		return nil
	}
	next, act := prepare(w.model)
	w.expect(is(w.model, next))
	at, err := act()
	if err == nil && w.pending != nil {
		w.tally["half-way, and not there"]++
		w.pending = nil
	}
	w.settle(err)
	switch {
	case err == nil:
		next.position = at
		w.model = next
		w.written[name] = true
		if trouble := w.db.Trouble(); trouble != nil {
			w.complain("%s: it succeeded, and there is still trouble: %v", name, trouble)
		}
	case (errors.Is(err, key.ErrConflict) || errors.Is(err, storage.ErrGap)) && w.written[name]:
		err = nil
	default:
		w.failed(name, &next, err)
	}
	w.see(name)
	if w.pending == nil {
		w.expect(is(w.model))
	}
	return err
}

// failed looks at the error of a write.
func (w *world) failed(name string, next *contents, err error) {
	switch {
	case strings.Contains(err.Error(), "start the process again"):
		w.tally["restart!"]++
		w.complain("%s: %v", name, err)
	case errors.Is(err, storage.ErrFailed):
		w.tally["ErrFailed"]++
		if w.pending == nil {
			w.pending, w.writing = next, name
		}
	case errors.Is(err, storage.ErrDisk):
		w.tally["ErrDisk"]++
	default:
		w.complain("%s: neither ErrDisk nor ErrFailed: %v", name, err)
	}
	if w.db.Trouble() == nil {
		w.complain("%s: no trouble after %v", name, err)
	}
	wrongRemedy(w, name, err)
}

// wrongRemedy complains of an error that blames the files for what the disk did.
func wrongRemedy(w *world, name string, err error) {
	for _, kind := range []error{
		storage.ErrDamaged, storage.ErrRollback, storage.ErrUnproven, storage.ErrMissing, storage.ErrMoved,
		storage.ErrFormat, storage.ErrLocked, storage.ErrExposed, key.ErrConflict,
	} {
		if errors.Is(err, kind) {
			w.complain("%s: trouble of the disk is called %q: %v", name, kind, err)
		}
	}
}

func (w *world) mend() error {
	err := w.db.Mend(context.Background())
	w.settle(err)
	if err != nil {
		w.tally["Mend refused"]++
		wrongRemedy(w, "Mend", err)
	}
	if trouble := w.db.Trouble(); (trouble == nil) != (err == nil) {
		w.complain("Mend returned %v, and the trouble is %v", err, trouble)
	}
	w.see("Mend")
	if w.pending == nil {
		w.expect(is(w.model))
	}
	return err
}

func (w *world) open() error {
	db, err := storage.Open(w.data(), w.plain())
	if err != nil {
		w.tally["Open refused"]++
		wrongRemedy(w, "Open", err)
		return err
	}
	w.opened(db)
	return nil
}

// opened takes over a store that was just opened.
func (w *world) opened(db *storage.DB) {
	w.db = db
	if w.limit > 0 {
		db.LimitWatermark(w.limit)
	}
	if w.pending != nil {
		w.settle(nil)
	}
	w.model.position.Epoch, w.model.position.Digest = db.Position().Epoch, db.Position().Digest
	w.see("Open")
	if trouble := db.Trouble(); trouble != nil {
		w.complain("Open: trouble: %v", trouble)
	}
	w.expect(is(w.model))
}

func (w *world) close() error {
	db := w.db
	w.db = nil
	return db.Close()
}

// takeOver does what makes another store of what is in the folder: all of it or nothing.
func (w *world) takeOver(act func() error, found func() (contents, error)) error {
	during := outcome{states: w.first.states, refused: slices.Concat(w.first.refused, w.midway)}
	if w.after != nil {
		during.states = append([]contents{*w.after}, during.states...)
	}
	w.expect(during)
	if err := act(); err != nil {
		w.tally["taking over refused"]++
		return err
	}
	have, err := found()
	if err != nil {
		return err
	}
	if w.after == nil {
		w.after = &have
	}
	if diff := w.differs(*w.after, have); diff != "" {
		w.complain("taken over: %s differ", diff)
	}
	w.model = have
	w.expect(is(have))
	return nil
}

// trapped makes a write during which one call fails, and that is therefore left half-way.
func (w *world) trapped(name string, change func(contents) storage.Change, call, file string, nth int) error {
	if w.pending != nil || w.written[name] {
		return nil
	}
	w.trap.set(call, file, nth)
	err := w.commit(name, change)
	if w.trap.set("", "", 0) || !errors.Is(err, storage.ErrFailed) {
		return err // other trouble came first
	}
	return nil
}

// trap is one call that fails, as a part of what a step does.
type trap struct {
	mu         sync.Mutex
	call, file string
	left       int // how many such calls until it, itself included; 0: none fails
}

// set says which call fails, and returns whether the one before is still to come.
func (t *trap) set(call, file string, nth int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.left
	t.call, t.file, t.left = call, file, nth
	return before > 0
}

// hits reports whether it is this call.
func (t *trap) hits(c faults.Call) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.left == 0 || c.Name != t.call || filepath.Base(c.Path) != t.file {
		return false
	}
	t.left--
	return t.left == 0
}
