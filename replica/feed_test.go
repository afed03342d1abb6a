package replica

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/key"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// read decodes a message as a replica does.
func read(t testing.TB, f frame) []*logv1.Entry {
	t.Helper()
	var b []byte
	for _, part := range f {
		b = append(b, part.ReadOnlyData()...)
	}
	var m replicav1.FollowResponse
	if err := proto.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	if len(b) > batchBytes+64<<10 {
		t.Errorf("a message of %d bytes", len(b))
	}
	return m.GetEntries().GetEntries()
}

// follows checks that a feed hands out from a position what the log has, until the newest.
func follows(t testing.TB, f *feed, at storage.Position) (messages int) {
	t.Helper()
	want, err := f.db.Since(at, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	for {
		m, to, err := f.after(at)
		if err != nil {
			t.Fatal(err)
		}
		if m == nil {
			break
		}
		messages++
		for _, e := range read(t, m) {
			w := want[0]
			want = want[1:]
			if e.GetOperator()+e.GetActing()+e.GetNote() != "" {
				t.Errorf("it tells who wrote revision %d", e.GetRevision())
			}
			w.Operator, w.Acting, w.Note = "", "", ""
			if !proto.Equal(e, w) {
				t.Fatalf("%v instead of %v", e, w)
			}
			at = storage.Position{Epoch: e.GetEpoch(), Revision: e.GetRevision(), Digest: storage.Digest(e.GetDigest())}
		}
		if at != to {
			t.Fatalf("the message ends with %s, and is said to with %s", at, to)
		}
	}
	if len(want) > 0 {
		t.Errorf("%d entries didn't come", len(want))
	}
	return messages
}

// Whoever asks from wherever gets what the log has, from the tail or from the file, in messages of bounded length.
func TestTheFeedIsTheLog(t *testing.T) {
	db := storagetest.New(t)
	f := &feed{db: db}
	var at []storage.Position
	write := func(n int) {
		r := record(n)
		r.Description = strings.Repeat("x", 200)
		at = append(at, commit(t, db, storage.Change{Action: "keys.create", Keys: []*key.Record{r}}))
	}
	for n := range 300 {
		write(n)
		if n%3 == 0 { // some are read as they come, some several at once
			follows(t, f, at[max(0, len(at)-4)])
		}
	}
	for _, i := range []int{0, 1, 7, 100, 298, 299} {
		follows(t, f, at[i])
	}
	// A large entry goes alone.
	var many []*key.Record
	for n := range 3000 {
		many = append(many, record(1000+n))
	}
	before := db.Position()
	commit(t, db, storage.Change{Action: "keys.import", Keys: many})
	m, to, err := f.after(before)
	if err != nil || m == nil || to != db.Position() {
		t.Fatal(to, err)
	}
	for n := range 5 {
		write(5000 + n)
	}
	var b int
	for at := before; at != db.Position(); {
		m, to, err := f.after(at)
		if err != nil || m == nil {
			t.Fatal(err)
		}
		at, b = to, b+1
	}
	if b < 2 {
		t.Errorf("%d messages", b)
	}
	if _, _, err := f.after(storage.Position{Epoch: before.Epoch, Revision: 1 << 40}); !errors.Is(err, storage.ErrDiverged) {
		t.Errorf("from a position of the future: %v", err)
	}
	forged := at[200]
	forged.Digest[3] ^= 1
	if m, _, err := f.after(forged); !errors.Is(err, storage.ErrDiverged) || m != nil {
		t.Errorf("from a position of another history: %v", err)
	}
}

// The tail holds so many bytes and no more, and who is further behind is read to from the file.
func TestTheTailIsBounded(t *testing.T) {
	db := storagetest.New(t)
	f := &feed{db: db}
	first := commit(t, db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(0)}})
	n := 1
	for range 30 {
		at := db.Position()
		var many []*key.Record
		for range 1000 {
			many = append(many, record(n))
			n++
		}
		commit(t, db, storage.Change{Action: "keys.import", Keys: many})
		if _, _, err := f.after(at); err != nil {
			t.Fatal(err)
		}
		size := 0
		for _, one := range f.tail {
			size += len(one.field)
		}
		if size != f.size || size > tailBytes && len(f.tail) > 1 {
			t.Fatalf("the tail has %d bytes, and counts %d", size, f.size)
		}
	}
	if f.tail[0].from.Revision <= first.Revision {
		t.Error("nothing was let go of")
	}
	kept := len(f.tail)
	at := first
	for at != db.Position() {
		m, to, err := f.after(at)
		if err != nil || m == nil {
			t.Fatal(err)
		}
		at = to
	}
	if len(f.tail) < kept {
		t.Errorf("who reads far behind cost the others the tail: %d entries of %d", len(f.tail), kept)
	}
}

// Many who are at the newest position cost one read.
func TestOneReadsForAll(t *testing.T) {
	db := storagetest.New(t)
	f := &feed{db: db}
	at := commit(t, db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(0)}})
	commit(t, db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(1)}})
	frames := make([]frame, 50)
	var all sync.WaitGroup
	for i := range frames {
		all.Go(func() {
			m, _, err := f.after(at)
			if err != nil {
				t.Error(err)
			}
			frames[i] = m
		})
	}
	all.Wait()
	for _, m := range frames[1:] {
		if &m[1].ReadOnlyData()[0] != &frames[0][1].ReadOnlyData()[0] {
			t.Fatal("an entry was encoded for one alone")
		}
	}
}

// Who falls behind what the log keeps gets a snapshot within his session, and goes on.
func TestFallingBehindTheLog(t *testing.T) {
	h := startHub(t, storagetest.Dir(t), storage.Options{LogBytes: 4 << 10})
	at := commit(t, h.db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(0)}})
	h.feed.mu.Lock() // nobody is fed meanwhile
	s, _, err := greet(t, h.target(t), helloOf(1, at, time.Hour))
	if err != nil {
		h.feed.mu.Unlock()
		t.Fatal(err)
	}
	for n := range 100 {
		commit(t, h.db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(n + 1)}})
	}
	h.feed.mu.Unlock()
	var order []string
	for {
		m, err := s.Recv()
		if err != nil {
			t.Fatal(err)
		}
		order = append(order, fmt.Sprintf("%T", m.GetMessage()))
		if m.GetSnapshotEnd() != nil {
			break
		}
	}
	if len(order) < 3 || !strings.Contains(order[0], "SnapshotBegin") {
		t.Errorf("%v", order)
	}
	next := commit(t, h.db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(500)}})
	m, err := s.Recv()
	if err != nil || m.GetEntries().GetEntries()[0].GetRevision() != next.Revision {
		t.Errorf("%v, %v", m, err)
	}
}
