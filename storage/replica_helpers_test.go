package storage_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

var background = context.Background()

// replicaOf are the options of a store that follows one with these.
func replicaOf(o storage.Options) storage.Options {
	o.Replica = true
	return o
}

// exported returns a snapshot of a store.
func exported(t failer, db *storage.DB) (storage.Exported, []byte) {
	t.Helper()
	var b bytes.Buffer
	e, err := db.Export(background, &b)
	if err != nil {
		t.Fatalf("export: %v", err)
	}
	if e.Position != db.Position() || !e.Latest.Equal(db.Now().Latest()) {
		t.Fatalf("an export of %v, %v; the store is at %v, %v", e.Position, e.Latest, db.Position(), db.Now().Latest())
	}
	return e, b.Bytes()
}

// stage receives a snapshot in pieces of some size, and finishes it.
func stage(t failer, db *storage.DB, e storage.Exported, b []byte, piece int) *storage.Staged {
	t.Helper()
	s, err := db.Stage(e.Position, e.Latest, e.Origin)
	if err != nil {
		t.Fatalf("stage: %v", err)
	}
	for len(b) > 0 {
		n := min(piece, len(b))
		if wrote, err := s.Write(b[:n]); err != nil || wrote != n {
			t.Fatalf("write: %d, %v", wrote, err)
		}
		b = b[n:]
	}
	if s.Objects() != e.Objects {
		t.Fatalf("%d objects came, %d were sent", s.Objects(), e.Objects)
	}
	if err := s.Finish(background); err != nil {
		t.Fatalf("finish: %v", err)
	}
	return s
}

// staged receives a snapshot and finishes it.
func staged(db *storage.DB, e storage.Exported, b []byte) (*storage.Staged, error) {
	s, err := db.Stage(e.Position, e.Latest, e.Origin)
	if err != nil {
		return nil, err
	}
	if _, err = s.Write(b); err == nil {
		err = s.Finish(background)
	}
	if err != nil {
		return nil, errors.Join(err, s.Discard())
	}
	return s, nil
}

// copyTo makes a replica what a hub is by a snapshot.
func copyTo(t failer, hub, replica *storage.DB) {
	t.Helper()
	e, b := exported(t, hub)
	s := stage(t, replica, e, b, 1<<16)
	changed := replica.Changed()
	at, err := s.Swap(background, false)
	if err != nil || at != e.Position {
		t.Fatalf("swap: at %v, want %v; %v", at, e.Position, err)
	}
	select {
	case <-changed:
	default:
		t.Fatalf("a swap of which nobody is told")
	}
	if err := s.Discard(); err != nil {
		t.Fatalf("discarding what was taken over: %v", err)
	}
	same(t, hub, replica)
}

// follow makes a replica what a hub is by entries, of at most so many at once,
// and returns in how many batches.
func follow(t failer, hub, replica *storage.DB, most int) (batches int) {
	t.Helper()
	for ; ; batches++ {
		entries, err := hub.Since(replica.Position(), 1<<20)
		if err != nil {
			t.Fatalf("since: %v", err)
		}
		if len(entries) == 0 {
			same(t, hub, replica)
			return batches
		}
		entries = entries[:min(most, len(entries))]
		changed := replica.Changed()
		at, err := replica.Apply(background, entries)
		if last := entries[len(entries)-1]; err != nil || at.Revision != last.GetRevision() || at != replica.Position() {
			t.Fatalf("apply: at %v, want revision %d; %v", at, last.GetRevision(), err)
		}
		select {
		case <-changed:
		default:
			t.Fatalf("entries of which nobody is told")
		}
	}
}

// follows makes a replica what a hub is, by whatever it takes.
func follows(t failer, hub, replica *storage.DB, most int) (how string) {
	t.Helper()
	switch _, err := hub.Since(replica.Position(), 0); {
	case err == nil:
		follow(t, hub, replica, most)
		return "entries"
	case errors.Is(err, storage.ErrTrimmed), errors.Is(err, storage.ErrDiverged):
		copyTo(t, hub, replica)
		return "snapshot"
	default:
		t.Fatalf("since: %v", err)
		return ""
	}
}

// same sees that two stores hold the same, in memory and in the file.
func same(t failer, hub, replica *storage.DB) {
	t.Helper()
	if diff := dump(hub).diff(dump(replica)); diff != "" {
		t.Fatalf("of hub and replica %s differ: %v, %v", diff, hub.Position(), replica.Position())
	}
	if !hub.Now().Latest().Equal(replica.Now().Latest()) || replica.Floor() != replica.Position() {
		t.Fatalf("latest %v, the hub's %v; at %v, floor %v", replica.Now().Latest(), hub.Now().Latest(), replica.Position(), replica.Floor())
	}
	if err := replica.Check(); err != nil {
		t.Fatalf("the replica: %v", err)
	}
}

// entriesAfter returns what follows a revision.
func entriesAfter(t failer, db *storage.DB, revision uint64) []*logv1.Entry {
	t.Helper()
	entries, err := db.Log(revision, 1000)
	if err != nil {
		t.Fatalf("log: %v", err)
	}
	return entries
}

// pairOf makes a hub with some writes, and a replica that has none.
func pairOf(t *testing.T, o storage.Options) (hub, replica *storage.DB, dir string) {
	t.Helper()
	hub = storagetest.New(t, o)
	dir = storagetest.Dir(t)
	return hub, storagetest.Open(t, dir, replicaOf(o)), dir
}
