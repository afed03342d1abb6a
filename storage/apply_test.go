package storage_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"

	keyv1 "github.com/latchkey/latchkey/proto/latchkey/key/v1"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

// written is a hub with one write of each kind, by revision.
func written(t failer, hub *storage.DB) (a, b *key.Record) {
	a, _ = issue(t)
	b, _ = issue(t)
	commit(t, hub, storage.Change{Keys: []*key.Record{a}, Tenants: []*directory.Tenant{{ID: "org:o_1"}}}) // 1
	commit(t, hub, storage.Change{Keys: []*key.Record{b}})                                                // 2
	commit(t, hub, storage.Change{Keys: []*key.Record{lookUp(hub, a.ID).Revoke(start)}})                  // 3
	commit(t, hub, storage.Change{RemoveTenants: []string{"org:o_1"}})                                    // 4
	commit(t, hub, storage.Change{Policies: map[string][]byte{"shortkit": []byte("1")}})                  // 5
	_, secret := minted(t)
	rotated, err := lookUp(hub, b.ID).Rotate(secret, time.Hour, start)
	if err != nil {
		t.Fatalf("%v", err)
	}
	commit(t, hub, storage.Change{Keys: []*key.Record{rotated}})                             // 6
	commit(t, hub, storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_1", Plan: "p"}}}) // 7
	return a, b
}

// What doesn't follow is refused, alone and at the end of a batch, and leaves no
// trace; what does follow can still be applied.
func TestApplyRefuses(t *testing.T) {
	putsOf := func(e *logv1.Entry) *keyv1.Record {
		var r keyv1.Record
		if err := proto.Unmarshal(e.GetPuts()[0].GetValue(), &r); err != nil {
			panic(err)
		}
		return &r
	}
	set := func(e *logv1.Entry, r *keyv1.Record) {
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(r)
		if err != nil {
			panic(err)
		}
		e.Puts[0].Value = b
	}
	for name, test := range map[string]struct {
		revision int // that is changed
		change   func(e *logv1.Entry, all []*logv1.Entry)
		want     error // nil: any
	}{
		"a gap":           {3, func(e *logv1.Entry, _ []*logv1.Entry) { e.Revision++ }, storage.ErrGap},
		"a replay":        {3, func(e *logv1.Entry, all []*logv1.Entry) { proto.Reset(e); proto.Merge(e, all[1]) }, storage.ErrGap},
		"an older epoch":  {3, func(e *logv1.Entry, _ []*logv1.Entry) { e.Epoch-- }, storage.ErrDiverged},
		"no epoch":        {3, func(e *logv1.Entry, _ []*logv1.Entry) { e.Epoch = 0 }, storage.ErrDiverged},
		"another digest":  {3, func(e *logv1.Entry, _ []*logv1.Entry) { e.Digest = bytes.Clone(e.Digest); e.Digest[5] ^= 1 }, storage.ErrDiverged},
		"no digest":       {3, func(e *logv1.Entry, _ []*logv1.Entry) { e.Digest = nil }, storage.ErrDiverged},
		"half a digest":   {3, func(e *logv1.Entry, _ []*logv1.Entry) { e.Digest = e.Digest[:16] }, storage.ErrDiverged},
		"an earlier time": {3, func(e *logv1.Entry, _ []*logv1.Entry) { e.At = timestamppb.New(start.Add(-time.Hour)) }, storage.ErrDiverged},
		"no time":         {3, func(e *logv1.Entry, _ []*logv1.Entry) { e.At = nil }, storage.ErrDiverged},
		"no time at all":  {3, func(e *logv1.Entry, _ []*logv1.Entry) { e.At = &timestamppb.Timestamp{Seconds: 1 << 60} }, storage.ErrDiverged},
		"other objects":   {7, func(e *logv1.Entry, all []*logv1.Entry) { e.Puts = all[0].Puts[1:] }, storage.ErrDiverged},
		"fewer objects":   {3, func(e *logv1.Entry, _ []*logv1.Entry) { e.Puts = nil }, storage.ErrDiverged},
		"no removal":      {4, func(e *logv1.Entry, _ []*logv1.Entry) { e.Puts = nil }, storage.ErrDiverged},
		"named twice":     {3, func(e *logv1.Entry, _ []*logv1.Entry) { e.Puts = append(e.Puts, e.Puts[0]) }, nil},
		"a key unrevoked": {6, func(e *logv1.Entry, all []*logv1.Entry) {
			r := putsOf(all[0])
			r.Revision = 6
			set(e, r)
			e.Puts[0].Name = all[0].Puts[0].Name
		}, key.ErrRevoked},
		"a removed key": {3, func(e *logv1.Entry, _ []*logv1.Entry) {
			e.Puts = []*logv1.Put{{Kind: logv1.Kind_KIND_KEY, Name: e.Puts[0].Name, Removed: true}}
		}, nil},
		"a secret of another": {6, func(e *logv1.Entry, all []*logv1.Entry) {
			r := putsOf(e)
			r.Secrets = append(putsOf(all[0]).Secrets, r.Secrets...)
			set(e, r)
		}, nil},
		"a secret forgotten": {6, func(e *logv1.Entry, _ []*logv1.Entry) {
			r := putsOf(e)
			r.Secrets = r.Secrets[1:]
			set(e, r)
		}, nil},
		"another's name":   {6, func(e *logv1.Entry, _ []*logv1.Entry) { e.Puts[0].Name = "key_0" }, nil},
		"no record":        {6, func(e *logv1.Entry, _ []*logv1.Entry) { e.Puts[0].Value = []byte("\xff") }, nil},
		"an unknown kind":  {6, func(e *logv1.Entry, _ []*logv1.Entry) { e.Puts[0].Kind = 9 }, nil},
		"no policy's name": {5, func(e *logv1.Entry, _ []*logv1.Entry) { e.Puts[0].Name = "/" }, nil},
		"a bad policy":     {5, func(e *logv1.Entry, _ []*logv1.Entry) { e.Puts[0].Value = []byte("bad") }, errCompile},
	} {
		t.Run(name, func(t *testing.T) {
			o := storage.Options{Now: func() time.Time { return start }, Compile: func(documents map[string][]byte) (any, error) {
				if string(documents["shortkit"]) == "bad" {
					return nil, errCompile
				}
				return len(documents), nil
			}}
			hub, replica, _ := pairOf(t, o)
			copyTo(t, hub, replica)
			written(t, hub)
			all := entriesAfter(t, hub, 0)
			for first := range test.revision { // how many are applied before
				if first > 0 {
					if _, err := replica.Apply(background, all[first-1:first]); err != nil {
						t.Fatal(err)
					}
				}
				batch := cloned(all[first:test.revision])
				test.change(batch[len(batch)-1], cloned(all))
				before := dump(replica)
				at, err := replica.Apply(background, batch)
				if err == nil || test.want != nil && !errors.Is(err, test.want) {
					t.Fatalf("%d before: error %v, want %v", first, err, test.want)
				}
				if diff := before.diff(dump(replica)); diff != "" || at != before.position && at != (storage.Position{}) {
					t.Fatalf("%d before: %v left a trace: %s; it is at %v", first, err, diff, at)
				}
				if err := errors.Join(replica.Check(), replica.Trouble()); err != nil {
					t.Fatalf("%d before: %v", first, err)
				}
			}
			follow(t, hub, replica, 3)
		})
	}
}

func cloned(entries []*logv1.Entry) (all []*logv1.Entry) {
	for _, e := range entries {
		all = append(all, proto.CloneOf(e))
	}
	return all
}

func TestWhoMayWrite(t *testing.T) {
	hub, replica, dir := pairOf(t, storage.Options{})
	written(t, hub)
	copyTo(t, hub, replica)
	refused(t, replica, storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_9"}}}, storage.ErrReplica)
	if _, err := hub.Apply(background, entriesAfter(t, hub, 0)); err == nil {
		t.Error("a hub applies entries")
	}
	if _, err := hub.Stage(hub.Position(), start, ""); err == nil {
		t.Error("a hub takes a snapshot")
	}
	backup := storagetest.Dir(t)
	backUp(t, hub, backup)
	storagetest.Close(t, replica)
	if _, err := storage.Restore(dir, backup, storage.Options{Replica: true}); !errors.Is(err, storage.ErrReplica) {
		t.Errorf("restoring a replica: %v", err)
	}
	if _, err := storage.Open(dir, storage.Options{Replica: true, AcceptRollback: true}); !errors.Is(err, storage.ErrReplica) {
		t.Errorf("accepting a rollback: %v", err)
	}
}

// A store that has nothing takes no entries, and says so of itself.
func TestBlankReplica(t *testing.T) {
	hub, replica, dir := pairOf(t, storage.Options{})
	written(t, hub)
	for range 2 {
		if at := replica.Position(); at != (storage.Position{}) || replica.Floor() != at || replica.Recovered() != nil || replica.Now().Position().Revision != 0 {
			t.Fatalf("at %v, floor %v, %v", at, replica.Floor(), replica.Recovered())
		}
		if _, err := hub.Since(replica.Position(), 1); !errors.Is(err, storage.ErrTrimmed) {
			t.Errorf("what follows nothing: %v", err)
		}
		if _, err := replica.Since(replica.Position(), 1); !errors.Is(err, storage.ErrTrimmed) {
			t.Errorf("what follows nothing, of nothing: %v", err)
		}
		if _, err := replica.Apply(background, entriesAfter(t, hub, 0)); !errors.Is(err, storage.ErrGap) {
			t.Errorf("entries for a store that has nothing: %v", err)
		}
		if at, err := replica.Apply(background, nil); at != replica.Position() || err != nil {
			t.Errorf("no entries: %v, %v", at, err)
		}
		storagetest.Close(t, replica)
		report, err := storage.VerifyFolder(dir, 0)
		if err != nil || len(report.Problems) > 0 {
			t.Errorf("verified: %+v, %v", report, err)
		}
		replica = storagetest.Open(t, dir, storage.Options{Replica: true})
	}
	copyTo(t, hub, replica)
	storagetest.Close(t, replica)
	replica = storagetest.Open(t, dir, storage.Options{Replica: true})
	same(t, hub, replica)
	// Who would write to it doesn't take a blank one for a hub's.
	blank := storagetest.Dir(t)
	storagetest.Close(t, storagetest.Open(t, blank, storage.Options{Replica: true}))
	if _, err := storage.Open(blank, storage.Options{}); !errors.Is(err, storage.ErrRole) {
		t.Errorf("a hub on a blank replica: %v", err)
	}
}

// A hub that went on from a backup which the replica has in its history is
// followed by entries, into its new epoch.
func TestApplyIntoANewEpoch(t *testing.T) {
	dir := storagetest.Dir(t)
	hub := storagetest.Open(t, dir)
	replica := storagetest.Open(t, storagetest.Dir(t), storage.Options{Replica: true})
	written(t, hub)
	copyTo(t, hub, replica)
	backup := storagetest.Dir(t)
	backUp(t, hub, backup)
	commit(t, hub, storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_2"}}})
	storagetest.Close(t, hub)
	if _, err := storage.Restore(dir, backup, storage.Options{}); err != nil {
		t.Fatal(err)
	}
	hub = storagetest.Open(t, dir)
	before := replica.Position().Epoch
	commit(t, hub, storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_3"}}})
	if batches := follow(t, hub, replica, 10); batches != 1 || replica.Position().Epoch <= before {
		t.Errorf("%d batches, at %v", batches, replica.Position())
	}
}
