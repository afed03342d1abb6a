package replica

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// A hub that has nothing to do with a replica's store, as one that was started on an empty folder, doesn't get to
// replace it, however new it is; among several it is passed over.
func TestAForeignHubIsRefused(t *testing.T) {
	h := hubWith(t, 5)
	r := startReplica(t, storagetest.Dir(t), time.Minute, h.target(t))
	await(t, r.db, h.db.Position())
	r.stop(t)
	if r.db.Origin() != h.db.Origin() {
		t.Errorf("the origin is %q, and the hub's %q", r.db.Origin(), h.db.Origin())
	}
	empty := startHub(t, storagetest.Dir(t))
	commit(t, empty.db, storage.Change{Action: "test", Tenants: []*directory.Tenant{{ID: "org:o_1"}}})
	if !h.db.Position().Before(empty.db.Position()) {
		t.Fatal("the test needs a hub that seems to be newer")
	}
	r = startReplica(t, r.dir, time.Minute, empty.target(t))
	eventually(t, "it is refused", func() bool { return strings.Contains(r.Status().Problem, ErrForeign.Error()) })
	if at := h.db.Position(); r.db.Position() != at || revoked(r.db, 3) {
		t.Errorf("the replica is at %s, and was at %s", r.db.Position(), at)
	}
	r.stop(t)
	next := revoke(t, h.db, record(3).ID)
	r = startReplica(t, r.dir, time.Minute, empty.target(t), h.target(t))
	await(t, r.db, next)
	r.stop(t)
	r = startReplicaWith(t, r.dir, func(o *FollowerOptions) { o.AcceptOlder = true }, empty.target(t))
	await(t, r.db, empty.db.Position())
	if r.db.Origin() != empty.db.Origin() {
		t.Error("the origin stays that of the former hub")
	}
}

// reviving starts a hub that was restored from a backup and doesn't know the revocation of key 3 since. The replica of this
// folder, which isn't running, does: it is at this position.
func reviving(t *testing.T) (restored *hubProcess, folder string, at storage.Position) {
	t.Helper()
	h := hubWith(t, 5)
	backup := filepath.Join(t.TempDir(), "backup.db")
	if _, err := h.db.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	at = revoke(t, h.db, record(3).ID)
	r := startReplica(t, storagetest.Dir(t), time.Minute, h.target(t))
	await(t, r.db, at)
	r.stop(t)
	dir := storagetest.Dir(t)
	if _, err := storage.Restore(dir, backup, storage.Options{}); err != nil {
		t.Fatal(err)
	}
	return startHub(t, dir), r.dir, at
}

// A restore that doesn't know what was revoked since the backup brings keys back to life. A replica that knows doesn't
// go along, and names them; once they are revoked again it does.
func TestAHubThatRevivesKeysIsRefused(t *testing.T) {
	restored, folder, at := reviving(t)
	r := startReplica(t, folder, time.Minute, restored.target(t))
	eventually(t, "it is refused, by name", func() bool {
		p := r.Status().Problem
		return strings.Contains(p, ErrRevives.Error()) && strings.Contains(p, record(3).ID)
	})
	eventually(t, "the hub is told", func() bool {
		all := restored.Replicas()
		return len(all) == 1 && strings.Contains(all[0].Trouble, record(3).ID)
	})
	if r.db.Position() != at || !revoked(r.db, 3) {
		t.Errorf("the replica is at %s, and was at %s", r.db.Position(), at)
	}
	again := revoke(t, restored.db, record(3).ID)
	await(t, r.db, again)
	if !revoked(r.db, 3) {
		t.Error("the key is alive")
	}
}

// A policy that a replica can't use keeps it where it is. Taken back, however much was written in between, it goes on.
func TestAPolicyThatCantBeUsedIsGotOver(t *testing.T) {
	h := hubWith(t, 1)
	refuse := func(documents map[string][]byte) (any, error) {
		if string(documents["p"]) == "unknown" {
			return nil, errors.New("a word of the future")
		}
		return nil, nil
	}
	r := startReplicaWith(t, storagetest.Dir(t), func(*FollowerOptions) {}, h.target(t), storage.Options{Replica: true, Compile: refuse})
	await(t, r.db, h.db.Position())
	policy := func(document string) storage.Position {
		return commit(t, h.db, storage.Change{Action: "test", Policies: map[string][]byte{"p": []byte(document)}})
	}
	policy("unknown")
	eventually(t, "it says so", func() bool { return strings.Contains(r.Status().Problem, storage.ErrPolicies.Error()) })
	for n := range 3 { // more than is applied at once
		var keys []*key.Record
		for i := range 1000 {
			k := record(1000 + n*1000 + i)
			k.Description = strings.Repeat("x", 500)
			keys = append(keys, k)
		}
		commit(t, h.db, storage.Change{Action: "test", Keys: keys})
	}
	await(t, r.db, policy("known"))
}
