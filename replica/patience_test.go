package replica

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/latchkey/latchkey/key"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// A question waits while the hub sends what was there when it came, and while that is applied here: a hub is silent only
// where nothing comes and nothing waits to be looked at.
func TestASlowSnapshotIsNoSilence(t *testing.T) {
	db := storagetest.New(t)
	commit(t, db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(1)}})
	s := tell(t, db, db.Position())
	dir := storagetest.Dir(t)
	r := storagetest.Open(t, dir, storage.Options{Replica: true})
	f := newFollower(t, r, dir)
	c, err := f.connect(t.Context(), Target{Name: "hub", Connection: &reader{}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	took := func(m responses) {
		t.Helper()
		for _, one := range m {
			if err := c.take(one); err != nil {
				t.Fatal(err)
			}
		}
	}
	longAgo := func() { // as if all of it had taken an hour until now
		f.state.session.asked -= time.Hour
		c.moved = c.moved.Add(-time.Hour)
	}
	took(s.snapshot()[:3]) // the welcome asks
	longAgo()
	took(s.snapshot()[3:])
	if err := c.tick(); err != nil {
		t.Errorf("a snapshot took an hour: %v", err)
	}
	// To write the last entries took long, and the answer is here and wasn't looked at.
	longAgo()
	c.came <- currently(s.at, 1)
	if err := c.tick(); err != nil {
		t.Errorf("the answer is here: %v", err)
	}
	took(responses{<-c.came})
	if !f.state.Lease.Proven || sinceBoot()-f.state.Lease.Asked < time.Hour {
		t.Errorf("the lease runs from the question on, which was asked an hour ago: %+v", f.state.Lease)
	}
	longAgo()
	if err := errors.Join(c.tick(), c.tick()); err != nil {
		t.Fatal(err) // no question waits: it is asked now
	}
	longAgo()
	if err := c.tick(); !errors.Is(err, ErrSilent) {
		t.Errorf("nothing came for an hour: %v", err)
	}
}

// A hub can't fill the disk of a replica with what unpacks to much more than came.
func TestASnapshotDoesNotGrowWithoutBounds(t *testing.T) {
	db := storagetest.New(t)
	commit(t, db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(1)}})
	s := tell(t, db, db.Position())
	// Objects as they should be, each of zeros alone.
	var raw bytes.Buffer
	for n := range 9 {
		if _, err := protodelim.MarshalTo(&raw, &logv1.Put{Kind: logv1.Kind_KIND_POLICY, Name: "p" + string(rune('a'+n)), Value: make([]byte, 8<<20)}); err != nil {
			t.Fatal(err)
		}
	}
	s.packed = packed(t, raw.Bytes(), snapshotWindow)
	size := raw.Len()
	dir := storagetest.Dir(t)
	r := storagetest.Open(t, dir, storage.Options{Replica: true})
	f := newFollower(t, r, dir)
	err := hear(t, f, s.snapshot())
	if !errors.Is(err, errSnapshot) || !errors.Is(err, errUnpacked) {
		t.Errorf("%d bytes that unpack to %d end with %v", len(s.packed), size, err)
	}
}
