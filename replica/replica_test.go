package replica

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// shortDir is a folder whose sockets' paths fit.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func receipt(t testing.TB, h *Hub, at storage.Position) Receipt {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	return h.Await(ctx, at)
}

func TestFollow(t *testing.T) {
	h := startHub(t, storagetest.Dir(t))
	for n := range 300 {
		commit(t, h.db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(n)}})
	}
	began := time.Now() // of its lease, at the earliest
	r := startReplica(t, storagetest.Dir(t), time.Minute, h.target(t))
	await(t, r.db, h.db.Position())
	eventually(t, "fresh", func() bool { return r.Status().Fresh })

	at := revoke(t, h.db, record(7).ID)
	got := receipt(t, h.Hub, at)
	if !got.Complete() || got.Applied != 1 || got.Replicas != 1 || !revoked(r.db, 7) {
		t.Errorf("receipt %+v, revoked %v", got, revoked(r.db, 7))
	}
	entries, err := r.db.Log(r.db.Position().Revision-1, 1)
	if err != nil || len(entries) != 1 || entries[0].GetOperator() != "" || entries[0].GetActing() != "" || entries[0].GetNote() != "" {
		t.Errorf("the replica is told who wrote and why: %v, %v", entries, err)
	}

	// Stopped, it is missing until its lease ends; started again it goes on where it was.
	r.stop(t)
	eventually(t, "away", func() bool { return !h.Replicas()[0].Connected })
	at = revoke(t, h.db, record(8).ID)
	soonOver, cancel := context.WithCancel(t.Context())
	cancel()
	got = h.Await(soonOver, at)
	if got.Complete() || got.Applied != 0 || got.Replicas != 1 || len(got.Missing) != 1 || got.Ends.Sub(began) < time.Minute || time.Until(got.Ends) > 61*time.Second {
		t.Errorf("with the replica away: %+v", got)
	}
	r = startReplica(t, r.dir, time.Minute, h.target(t))
	if got := receipt(t, h.Hub, at); !got.Complete() || got.Applied != 1 || !revoked(r.db, 8) {
		t.Errorf("after it came back: %+v", got)
	}
	if n := h.spools.count(); n != 1 {
		t.Errorf("%d snapshots were made for one replica that goes on", n)
	}
}
