package storage_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/watermark"
)

// replicated is a hub beside its maps, and a replica that follows it.
type replicated struct {
	*machine
	replica *storage.DB
	folder  string
	how     map[string]int
}

// A hub is written to, restored, rolled back and restarted; its replica follows
// by entries or by a snapshot, and is what the hub is each time.
func TestReplicaAgainstItsHub(t *testing.T) {
	next := folders(quickDir(t))
	how := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		m := &replicated{machine: newMachine(t, next()), folder: next(), how: how}
		defer m.end()
		m.replica = mustOpen(t, m.folder, replicaOf(m.options()))
		defer func() { _ = errors.Join(m.replica.Close(), os.RemoveAll(m.folder)) }()
		t.Repeat(rapid.StateMachineActions(m))
		follows(t, m.db, m.replica, 3)
	})
	t.Logf("followed by %v", how)
	// A short run has too few turns for the rare ones.
	if !testing.Short() && (how["entries"] == 0 || how["snapshot"] == 0 || how["older"] == 0) {
		t.Error("some ways were never gone")
	}
}

// Follow brings the replica up to date.
func (m *replicated) Follow(t *rapid.T) {
	m.how[follows(t, m.db, m.replica, rapid.IntRange(1, 20).Draw(t, "at once"))]++
}

// FollowToo makes it more likely.
func (m *replicated) FollowToo(t *rapid.T) { m.Follow(t) }

// Some brings it a few revisions further.
func (m *replicated) Some(t *rapid.T) {
	entries, err := m.db.Since(m.replica.Position(), rapid.IntRange(0, 2000).Draw(t, "bytes"))
	if err != nil || len(entries) == 0 {
		return
	}
	if _, err := m.replica.Apply(background, entries); err != nil {
		t.Fatalf("apply: %v", err)
	}
	m.how["some"]++
	if err := m.replica.Check(); err != nil {
		t.Fatalf("check: %v", err)
	}
}

// Snapshot is one that nobody needed.
func (m *replicated) Snapshot(t *rapid.T) {
	copyTo(t, m.db, m.replica)
	m.how["snapshot"]++
}

// Older makes the replica an older store on purpose.
func (m *replicated) Older(t *rapid.T) {
	s := m.older(t)
	if s == nil || m.replica.Position() == (storage.Position{}) {
		return
	}
	dir := m.folder + "-older"
	defer func() { _ = os.RemoveAll(dir) }()
	file, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatalf("%v", err)
	}
	files{storage.FileName: file}.into(t, dir)
	// Its own watermark, as far as it counts here: that it is the newest.
	at := &logv1.Position{Epoch: s.position.Epoch, Revision: s.position.Revision, Digest: s.position.Digest[:]}
	marks, err := watermark.Create(filepath.Join(dir, markName), &logv1.Mark{Position: at})
	if err != nil || marks.Close() != nil {
		t.Fatalf("%v", err)
	}
	db := mustOpen(t, dir, m.options())
	defer func() { _ = db.Close() }()
	before := m.replica.Floor()
	e, b := exported(t, db)
	st := stage(t, m.replica, e, b, 100)
	if _, err := st.Swap(background, false); e.Position.Before(before) != errors.Is(err, storage.ErrRollback) {
		t.Fatalf("a store of %v for one of %v: %v", e.Position, before, err)
	} else if err != nil {
		m.how["older"]++
		if _, err := st.Swap(background, true); err != nil {
			t.Fatalf("on purpose: %v", err)
		}
	}
	same(t, db, m.replica)
}

// RestartReplica closes the replica and opens it again.
func (m *replicated) RestartReplica(t *rapid.T) {
	before := dump(m.replica)
	mustClose(t, m.replica)
	m.replica = mustOpen(t, m.folder, replicaOf(m.options()))
	if diff := before.diff(dump(m.replica)); diff != "" {
		t.Fatalf("after opening again, %s differ", diff)
	}
	if err := m.replica.Recovered(); err != nil || m.replica.Floor() != m.replica.Position() {
		t.Fatalf("opened again: %v; floor %v", err, m.replica.Floor())
	}
}
