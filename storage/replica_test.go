package storage_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// What is found of a folder is used as far as it can be, and what speaks against
// it is told, again until the first write.
func TestOpenReplicaOfWhatIsLeft(t *testing.T) {
	hub := storagetest.New(t)
	dir := storagetest.Dir(t)
	replica := storagetest.Open(t, dir, storage.Options{Replica: true})
	written(t, hub)
	copyTo(t, hub, replica)
	commit(t, hub, storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_7"}}})
	follow(t, hub, replica, 1)
	storagetest.Close(t, replica)
	early, at7 := readFiles(t, dir), replica.Position()
	replica = storagetest.Open(t, dir, storage.Options{Replica: true})
	for range 3 {
		commit(t, hub, storage.Change{Policies: map[string][]byte{"q": []byte(hub.Position().String())}})
	}
	follow(t, hub, replica, 1)
	storagetest.Close(t, replica)
	late, now := readFiles(t, dir), replica.Position()

	file := func(f files, damage func([]byte) []byte) files {
		return f.with(storage.FileName, damage(append([]byte(nil), f[storage.FileName]...)))
	}
	marks := func(f files, damage func([]byte) []byte) files {
		return f.with(markName, damage(append([]byte(nil), f[markName]...)))
	}
	without := func(f files, name string) files {
		f = f.with(name, nil)
		delete(f, name)
		return f
	}
	used := func(b []byte) int {
		for len(b) > 0 && b[len(b)-1] == 0 {
			b = b[:len(b)-1]
		}
		return len(b)
	}
	for name, test := range map[string]struct {
		files     files
		at, floor storage.Position
		why       error
		anew      bool // whether the file is put aside
	}{
		"as it was":               {late, now, now, nil, false},
		"nothing":                 {files{}, storage.Position{}, storage.Position{}, nil, false},
		"the file is gone":        {without(late, storage.FileName), storage.Position{}, now, storage.ErrMissing, false},
		"the file is older":       {early.with(markName, late[markName]), at7, now, storage.ErrRollback, false},
		"the watermark is older":  {late.with(markName, early[markName]), now, now, storage.ErrUnproven, false},
		"the watermark is gone":   {without(late, markName), now, now, storage.ErrUnproven, false},
		"the watermark is empty":  {late.with(markName, []byte{}), now, now, storage.ErrUnproven, false},
		"the watermark is noise":  {marks(late, func(b []byte) []byte { clear(b); copy(b, "noise"); return b }), now, now, storage.ErrUnproven, false},
		"the last mark is torn":   {marks(late, func(b []byte) []byte { b[used(b)-1] ^= 0x55; return b }), now, now, nil, false},
		"the file is cut off":     {file(late, func(b []byte) []byte { return b[:2*4096+100] }), storage.Position{}, now, storage.ErrDamaged, true},
		"the file is empty":       {file(late, func([]byte) []byte { return []byte{} }), storage.Position{}, now, storage.ErrDamaged, true},
		"the file is noise":       {file(late, func(b []byte) []byte { clear(b); return b }), storage.Position{}, now, storage.ErrDamaged, true},
		"file and watermark gone": {files{}, storage.Position{}, storage.Position{}, nil, false},
		"all is noise": {
			marks(file(late, func(b []byte) []byte { clear(b); return b }), func(b []byte) []byte { clear(b); copy(b, "noise"); return b }),
			storage.Position{},
			storage.Position{},
			storage.ErrDamaged, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := storagetest.Dir(t)
			test.files.into(t, dir)
			var db *storage.DB
			for i := range 3 {
				db = mustOpen(t, dir, storage.Options{Replica: true})
				why := test.why
				if i > 0 && why != nil && test.floor == (storage.Position{}) {
					why = storage.ErrUnproven // the new store has a watermark of noise
				} else if i > 0 && errors.Is(why, storage.ErrMissing) || i > 0 && test.anew {
					why = storage.ErrRollback // the new store is behind the watermark
				}
				if got := db.Recovered(); (got == nil) != (why == nil) || !errors.Is(got, why) {
					t.Fatalf("opened %d times: recovered %v, want %v", i+1, got, why)
				}
				if db.Position() != test.at || db.Floor() != test.floor {
					t.Fatalf("opened %d times: at %v, floor %v, want %v, %v", i+1, db.Position(), db.Floor(), test.at, test.floor)
				}
				if err := db.Check(); err != nil {
					t.Fatal(err)
				}
				mustClose(t, db)
			}
			aside, err := filepath.Glob(filepath.Join(dir, "*.damaged-*"))
			if err != nil || (len(aside) == 1) != test.anew || len(aside) > 1 {
				t.Errorf("put aside: %v, %v", aside, err)
			}
			db = mustOpen(t, dir, storage.Options{Replica: true})
			how := follows(t, hub, db, 1)
			if want := test.at != (storage.Position{}); want != (how == "entries") {
				t.Errorf("it followed by %s", how)
			}
			mustClose(t, db)
			db = storagetest.Open(t, dir, storage.Options{Replica: true})
			same(t, hub, db)
			if err := db.Recovered(); err != nil && how == "snapshot" {
				t.Errorf("after a snapshot: %v", err)
			}
			commit(t, hub, storage.Change{Policies: map[string][]byte{"p": []byte(name)}})
			follow(t, hub, db, 1)
			storagetest.Close(t, db)
			db = storagetest.Open(t, dir, storage.Options{Replica: true})
			if err := db.Recovered(); err != nil {
				t.Errorf("after all: %v", err)
			}
		})
	}
}

// Where file and watermark have been at the same revision with other objects, one
// of them is wrong: nothing is answered from the file.
func TestOpenReplicaOfAnotherHistory(t *testing.T) {
	clock := storage.Options{Now: func() time.Time { return start }}
	var left []files
	var at []storage.Position
	var hub *storage.DB
	for _, name := range []string{"org:a", "org:b"} {
		var replica *storage.DB
		var dir string
		hub, replica, dir = pairOf(t, clock)
		commit(t, hub, storage.Change{Tenants: []*directory.Tenant{{ID: name}}})
		copyTo(t, hub, replica)
		storagetest.Close(t, replica)
		left, at = append(left, readFiles(t, dir)), append(at, replica.Position())
	}
	if at[0].Epoch != at[1].Epoch || at[0].Revision != at[1].Revision {
		t.Fatal(at)
	}
	dir := storagetest.Dir(t)
	left[0].with(markName, left[1][markName]).into(t, dir)
	for range 2 {
		replica := storagetest.Open(t, dir, replicaOf(clock))
		if replica.Position() != (storage.Position{}) || replica.Floor() != at[1] || replica.Recovered() == nil {
			t.Errorf("at %v, floor %v: %v", replica.Position(), replica.Floor(), replica.Recovered())
		}
		aside, err := filepath.Glob(filepath.Join(dir, "*.damaged-*-diverged"))
		if err != nil || len(aside) != 1 {
			t.Errorf("put aside: %v, %v", aside, err)
		}
		storagetest.Close(t, replica)
	}
	copyTo(t, hub, storagetest.Open(t, dir, replicaOf(clock)))
}

// A store that is behind its watermark gets no mark until it is past it, and
// isn't taken for the newest before.
func TestReplicaBehindItsWatermark(t *testing.T) {
	hub, replica, dir := pairOf(t, storage.Options{})
	written(t, hub)
	copyTo(t, hub, replica)
	storagetest.Close(t, replica)
	early := readFiles(t, dir)
	for range 6 {
		commit(t, hub, storage.Change{Policies: map[string][]byte{"p": []byte(hub.Position().String())}})
	}
	replica = storagetest.Open(t, dir, storage.Options{Replica: true})
	follow(t, hub, replica, 2)
	storagetest.Close(t, replica)
	floor := hub.Position()
	readFiles(t, dir).with(storage.FileName, early[storage.FileName]).into(t, dir)

	commit(t, hub, storage.Change{Policies: map[string][]byte{"p": nil}})
	all := entriesAfter(t, hub, 0)
	for revision := positionOf(t, early).Revision; revision < hub.Position().Revision; revision++ {
		replica = storagetest.Open(t, dir, storage.Options{Replica: true})
		at := replica.Position()
		if at.Revision != revision || replica.Floor() != floor || at.Before(floor) != errors.Is(replica.Recovered(), storage.ErrRollback) {
			t.Fatalf("at %v, want revision %d; floor %v, want %v; %v", at, revision, replica.Floor(), floor, replica.Recovered())
		}
		if _, err := replica.Apply(background, all[revision:revision+1]); err != nil {
			t.Fatal(err)
		}
		storagetest.Close(t, replica)
	}
	replica = storagetest.Open(t, dir, storage.Options{Replica: true})
	if replica.Recovered() != nil || replica.Floor() != hub.Position() {
		t.Errorf("floor %v: %v", replica.Floor(), replica.Recovered())
	}
	same(t, hub, replica)
}

// At the revision of its floor a replica takes no other objects than it had there.
func TestApplyAgainstTheFloor(t *testing.T) {
	hubDir, dir := storagetest.Dir(t), storagetest.Dir(t)
	hub := storagetest.Open(t, hubDir)
	replica := storagetest.Open(t, dir, storage.Options{Replica: true})
	written(t, hub)
	copyTo(t, hub, replica)
	storagetest.Close(t, hub)
	storagetest.Close(t, replica)
	parted, early := readFiles(t, hubDir), readFiles(t, dir)
	hub = storagetest.Open(t, hubDir)
	replica = storagetest.Open(t, dir, storage.Options{Replica: true})
	for _, document := range []string{"a", "b"} {
		commit(t, hub, storage.Change{Policies: map[string][]byte{"p": []byte(document)}})
	}
	follow(t, hub, replica, 1)
	floor := replica.Position()
	storagetest.Close(t, replica)

	// A copy of the hub went on by itself, and the replica's file is put back.
	otherDir := storagetest.Dir(t)
	parted.into(t, otherDir)
	other := storagetest.Open(t, otherDir)
	for _, document := range []string{"a", "c", "d"} {
		commit(t, other, storage.Change{Policies: map[string][]byte{"p": []byte(document)}})
	}
	readFiles(t, dir).with(storage.FileName, early[storage.FileName]).into(t, dir)
	replica = storagetest.Open(t, dir, storage.Options{Replica: true})
	before := replica.Position()
	entries := entriesAfter(t, other, before.Revision)
	for n := 2; n <= 3; n++ {
		if _, err := replica.Apply(background, entries[:n]); !errors.Is(err, storage.ErrDiverged) {
			t.Errorf("%d entries of another history: %v", n, err)
		}
	}
	if replica.Position() != before || replica.Floor() != floor {
		t.Errorf("at %v, floor %v", replica.Position(), replica.Floor())
	}
	follow(t, hub, replica, 2)
}

// positionOf is that of the store in a folder's files.
func positionOf(t *testing.T, f files) storage.Position {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, f[storage.FileName], 0o600); err != nil {
		t.Fatal(err)
	}
	report, err := storage.Verify(path)
	if err != nil || len(report.Problems) > 0 {
		t.Fatalf("%+v, %v", report, err)
	}
	return report.Position
}

// A replica keeps a short log, and one that begins with a snapshot.
func TestReplicaLog(t *testing.T) {
	hub, dir := storagetest.New(t), storagetest.Dir(t)
	replica := storagetest.Open(t, dir, storage.Options{Replica: true, LogEntries: 3})
	written(t, hub)
	copyTo(t, hub, replica)
	for range 9 {
		commit(t, hub, storage.Change{Policies: map[string][]byte{"p": []byte(hub.Position().String())}})
		if hub.Position().Revision%3 == 0 {
			follow(t, hub, replica, 2)
		}
	}
	follow(t, hub, replica, 2)
	storagetest.Close(t, replica)
	report, err := storage.VerifyFolder(dir, 0)
	if err != nil || len(report.Problems) > 0 || report.LogFloor != report.Position.Revision-2 {
		t.Errorf("%+v, %v", report, err)
	}
}

// A policy that this version doesn't accept is refused, and the former state stays.
func TestReplicaOfAPolicyItCannotCompile(t *testing.T) {
	hub := storagetest.New(t)
	replica := storagetest.New(t, storage.Options{Replica: true, Compile: func(documents map[string][]byte) (any, error) {
		if string(documents["shortkit"]) == "bad" {
			return nil, errCompile
		}
		return len(documents), nil
	}})
	written(t, hub)
	copyTo(t, hub, replica)
	before := dump(replica)
	commit(t, hub, storage.Change{Policies: map[string][]byte{"shortkit": []byte("bad")}})
	if _, err := replica.Apply(background, entriesAfter(t, hub, before.position.Revision)); !errors.Is(err, errCompile) {
		t.Errorf("entries: %v", err)
	}
	e, b := exported(t, hub)
	if _, err := staged(replica, e, b); !errors.Is(err, errCompile) {
		t.Errorf("a snapshot: %v", err)
	}
	if diff := before.diff(dump(replica)); diff != "" {
		t.Errorf("%s differ", diff)
	}
	commit(t, hub, storage.Change{Policies: map[string][]byte{"shortkit": []byte("good")}})
	// Only what it comes to is ever seen, and so asked for.
	if batches := follow(t, hub, replica, 10); batches != 1 || replica.Now().Policies() != 1 {
		t.Errorf("%d batches, %v", batches, replica.Now().Policies())
	}
}

// Readers, a hub that writes and a replica that follows it by turns of both ways,
// all at once.
func TestReplicaUnderReaders(t *testing.T) {
	hub, replica, _ := pairOf(t, storage.Options{})
	a, token := issue(t)
	commit(t, hub, storage.Change{Keys: []*key.Record{a}, Tenants: []*directory.Tenant{{ID: "org:o_1", Plan: "0"}}})
	copyTo(t, hub, replica)
	ctx, cancel := context.WithCancel(background)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var last storage.Position
		for ctx.Err() == nil {
			v := replica.Now()
			if v.Position().Before(last) || !v.Lookup(token.Digest(), &key.Facts{}) {
				t.Errorf("at %v after %v", v.Position(), last)
			}
			last = v.Position()
			replica.View(func(v *storage.View) {
				r, err := v.Key(a.ID)
				o, _ := v.Tenant("org:o_1")
				if err != nil || r.Revision != o.Revision {
					t.Errorf("of revision %d a key of %v and a tenant of %d: %v", v.Position().Revision, r, o.Revision, err)
				}
			})
			if _, err := replica.Keys("", func(*key.Record) bool { return true }); err != nil {
				t.Error(err)
			}
			if _, err := replica.Log(replica.Position().Revision-1, 5); err != nil && !errors.Is(err, storage.ErrTrimmed) {
				t.Error(err)
			}
			_, _ = replica.Floor(), replica.Trouble()
		}
	}()
	rounds := 60
	if testing.Short() {
		rounds = 15
	}
	for i := range rounds {
		r := lookUp(hub, a.ID)
		name := hub.Position().String()
		r, err := r.Update(key.Update{Name: &name})
		if err != nil {
			t.Fatal(err)
		}
		commit(t, hub, storage.Change{Keys: []*key.Record{r}, Tenants: []*directory.Tenant{{ID: "org:o_1", Plan: "1", Revision: r.Revision}}})
		if i%3 == 0 {
			copyTo(t, hub, replica)
		} else {
			follow(t, hub, replica, 2)
		}
	}
	cancel()
	<-done
}
