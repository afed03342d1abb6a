package main

import (
	"testing"
	"time"

	"github.com/latchkey/latchkey/replica"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// A check that is held up while it looks at what there is doesn't answer by an old revision with the proof of a newer one.
func TestNoCheckHasAProofOfALaterRevision(t *testing.T) {
	db := storagetest.New(t)
	proofs := map[*replica.Proof]uint64{} // the revision that each holds of
	newest := func() *replica.Proof {
		p := &replica.Proof{Contact: time.Now()}
		proofs[p] = db.Position().Revision
		return p
	}
	// Between any two looks a write comes, and is proven to be the newest.
	proof, view := newest(), db.Now()
	goOn := func() {
		if _, err := db.Commit(t.Context(), storage.Change{Action: "test", Policies: map[string][]byte{"policy": []byte(time.Now().String())}}); err != nil {
			t.Fatal(err)
		}
		proof, view = newest(), db.Now()
	}
	v := seen(func() *replica.Proof { defer goOn(); return proof }, func() *storage.View { defer goOn(); return view })
	if of := proofs[(*replica.Proof)(v.Lease)]; v.Revision < of {
		t.Errorf("revision %d is answered by, with a proof of %d", v.Revision, of)
	}
}
