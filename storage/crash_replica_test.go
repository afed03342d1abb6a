package storage_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"testing"
	"time"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/key/mint"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// childHub, in the environment, is the folder of a hub that the process writes to,
// and whose replica it is.
const childHub = "LATCHKEY_STORAGE_TEST_HUB"

// writeAndFollow makes keys at a hub, has its replica follow by entries, in
// batches, and by snapshots, and tells of each step of the replica when it begins
// and once it is acknowledged: "to REVISION", "at REVISION".
func writeAndFollow(hubDir, dir string) error {
	hub, err := storage.Open(hubDir, storage.Options{})
	if err != nil {
		return err
	}
	replica, err := storage.Open(dir, storage.Options{Replica: true, LogEntries: 20})
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		for range 1 + mathrand.IntN(4) {
			token, err := mint.Token(form, rand.Reader)
			if err != nil {
				return err
			}
			r := key.Issue(key.Record{Policy: "shortkit", Type: "secret", Tenant: "org:o_1"}, key.Secret{Digest: token.Digest()}, time.Now())
			if _, err := hub.Commit(background, storage.Change{Keys: []*key.Record{r}}); err != nil {
				return err
			}
		}
		fmt.Println("to", hub.Position().Revision)
		if err := followOnce(hub, replica, i%3 == 0); err != nil {
			return err
		}
		fmt.Println("at", replica.Position().Revision)
	}
}

func followOnce(hub, replica *storage.DB, whole bool) error {
	if !whole && replica.Position().Epoch > 0 {
		entries, err := hub.Since(replica.Position(), mathrand.IntN(2000))
		if err == nil {
			_, err = replica.Apply(background, entries)
		}
		return err
	}
	var b bytes.Buffer
	e, err := hub.Export(background, &b)
	if err != nil {
		return err
	}
	s, err := staged(replica, e, b.Bytes())
	if err == nil {
		_, err = s.Swap(background, false)
	}
	return err
}

// A replica that is killed at any moment is never behind what it acknowledged,
// needs nobody to believe it, and follows on.
func TestKilledReplicaLosesNothing(t *testing.T) {
	kills := 40
	if testing.Short() {
		kills = 5
	}
	hubDir, dir := storagetest.Dir(t), storagetest.Dir(t)
	var latest uint64
	steps := 0
	for n := range kills {
		after := mathrand.IntN(12)
		if n == kills-1 { // at least as many steps as kills, of two lines each
			after = max(after, 2*(kills-steps))
		}
		for _, line := range writeAndKill(t, dir, after, childHub+"="+hubDir) {
			var what string
			var revision uint64
			if _, err := fmt.Sscan(line, &what, &revision); err != nil {
				t.Fatalf("the child said %q", line)
			}
			if what == "at" {
				latest = revision
				steps++
			}
		}
		hub, replica := mustOpen(t, hubDir, storage.Options{}), mustOpen(t, dir, storage.Options{Replica: true, LogEntries: 20})
		at := replica.Position()
		if at.Revision < latest || replica.Floor() != at || replica.Recovered() != nil {
			t.Fatalf("at %v, floor %v, and it acknowledged revision %d: %v", at, replica.Floor(), latest, replica.Recovered())
		}
		if err := replica.Check(); err != nil {
			t.Fatal(err)
		}
		if at.Epoch > 0 { // its history is the hub's, whatever the hub had not told anybody
			follow(t, hub, replica, 3)
		}
		latest = replica.Position().Revision
		mustClose(t, replica)
		mustClose(t, hub)
	}
	t.Logf("%d kills, %d acknowledged steps, revision %d", kills, steps, latest)
	if steps < kills {
		t.Error("too few to mean anything")
	}
}
