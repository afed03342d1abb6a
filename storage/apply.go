package storage

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

// errNotReplica is returned by what only a replica's store can do.
var errNotReplica = errors.New("the store isn't a replica's: it is written to by its own process")

// Apply takes over entries of the hub that follow the store's position, all of
// them or none, in one transaction, and returns the position that they lead to.
// Once it has returned nil they are on disk, the watermark knows how far the
// store is, every later View sees them and Changed has been raised. No entries
// change nothing. The entries stay the caller's.
//
// An entry may be of a later epoch than the one before: the hub went on from a
// backup that the store has in its history.
//
// It waits for other writers until the context ends; from then on it can't be
// broken off. Whatever the error, nothing has changed, except with ErrFailed,
// where it isn't known. ErrGap says that the entries don't follow the store's
// position, as none follows a store that has nothing; ErrDiverged that they are
// of another history, by an epoch, a time or a digest that doesn't come out.
// Others are those of Commit, of which ErrDamaged, ErrMoved and ErrFailed can be
// healed by Stage.
func (db *DB) Apply(ctx context.Context, entries []*logv1.Entry) (Position, error) {
	if !db.options.Replica {
		return Position{}, fmt.Errorf("applying entries: %w", errNotReplica)
	}
	if err := db.lock(ctx); err != nil {
		return Position{}, fmt.Errorf("applying entries: %w", err)
	}
	defer db.unlock()
	if err := db.resolve(); err != nil {
		return Position{}, err
	}
	w, err := db.follow(entries)
	if err != nil {
		err = fmt.Errorf("applying entries: %w", err)
	}
	return db.carryOut(w, err)
}

// follow accepts entries, or says why not; nil for none.
func (db *DB) follow(entries []*logv1.Entry) (*write, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	state := db.state.Load()
	if err := db.inOrder(state, entries); err != nil {
		return nil, err
	}
	w := &write{told: true, entry: entries[len(entries)-1], policies: state.policies}
	var keys []*key.Record
	for _, e := range entries {
		d, err := readPuts(e.GetPuts())
		if err != nil {
			return nil, fmt.Errorf("revision %d: %w", e.GetRevision(), err)
		}
		w.revisions = append(w.revisions, revision{e, d})
		keys = append(keys, d.keys...)
	}
	var err error
	if w.before, err = db.stored(keys); err != nil {
		return nil, err
	}
	a := admission{view: state, before: maps.Clone(w.before), owners: map[key.Digest]string{}}
	for _, r := range w.revisions {
		if err := a.admit(r.delta); err != nil {
			return nil, fmt.Errorf("revision %d: %w", r.entry.GetRevision(), err)
		}
		a.take(r.delta)
	}
	w.delta = together(w.revisions)
	if w.delta.policies != nil {
		if w.policies, err = db.compile(w.delta.documents(state.documents)); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// inOrder returns why entries can't follow a state, as far as they tell by
// themselves.
func (db *DB) inOrder(state *View, entries []*logv1.Entry) error {
	at, latest, floor := state.position, state.latest, db.Floor()
	if at == (Position{}) {
		return fmt.Errorf("%w: it has nothing yet, and begins with a snapshot", ErrGap)
	}
	for _, e := range entries {
		next := position(e.GetEpoch(), e.GetRevision(), e.GetDigest())
		switch when := e.GetAt().AsTime(); {
		case next.Revision != at.Revision+1:
			return fmt.Errorf("%w: revision %d comes after %d", ErrGap, next.Revision, at.Revision)
		case next.Epoch < at.Epoch:
			return fmt.Errorf("%w: revision %d is of epoch %d, and the one before it of %d", ErrDiverged, next.Revision, next.Epoch, at.Epoch)
		case len(e.GetDigest()) != len(Digest{}):
			return fmt.Errorf("%w: revision %d tells no digest", ErrDiverged, next.Revision)
		case !e.GetAt().IsValid() || when.Before(latest):
			return fmt.Errorf("%w: revision %d was written before the one before it", ErrDiverged, next.Revision)
		case next != floor && next.Epoch == floor.Epoch && next.Revision == floor.Revision:
			return fmt.Errorf("%w: the store was at %s, and the hub tells of %s", ErrDiverged, floor, next)
		default:
			at, latest = next, when
		}
	}
	return nil
}

// readPuts returns what the puts of an entry do.
func readPuts(puts []*logv1.Put) (*delta, error) {
	d, named := &delta{}, map[object]bool{}
	for _, p := range puts {
		o := object{p.GetKind(), p.GetName()}
		if named[o] {
			return nil, fmt.Errorf("%s is named twice", o)
		}
		named[o] = true
		if err := d.add(p); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// together returns what revisions, one after the other, come to.
func together(revisions []revision) *delta {
	if len(revisions) == 1 {
		return revisions[0].delta
	}
	all := &delta{}
	keys, tenants, principals := map[string]*key.Record{}, map[string]*directory.Tenant{}, map[string]*directory.Principal{}
	for _, r := range revisions {
		for _, k := range r.delta.keys {
			keys[k.ID] = k
		}
		for _, t := range r.delta.tenants {
			tenants[t.ID] = t
		}
		for _, id := range r.delta.removedTenants {
			tenants[id] = nil
		}
		for _, p := range r.delta.principals {
			principals[p.ID] = p
		}
		for _, id := range r.delta.removedPrincipals {
			principals[id] = nil
		}
		if r.delta.policies != nil && all.policies == nil {
			all.policies = map[string][]byte{}
		}
		maps.Copy(all.policies, r.delta.policies)
	}
	for _, k := range keys {
		all.keys = append(all.keys, k)
	}
	all.tenants, all.removedTenants = newest(tenants)
	all.principals, all.removedPrincipals = newest(principals)
	return all
}

// newest divides what became of objects into those that are there and the names
// of those that aren't.
func newest[T any](objects map[string]*T) (there []*T, removed []string) {
	for name, o := range objects {
		if o == nil {
			removed = append(removed, name)
		} else {
			there = append(there, o)
		}
	}
	return there, removed
}
