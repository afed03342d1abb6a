package replica

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/latchkey/latchkey/key"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

type followStream = grpc.BidiStreamingClient[replicav1.FollowRequest, replicav1.FollowResponse]

// byHand opens a session at the hub's position, and takes the Welcome.
func byHand(t *testing.T, h *hubProcess, id string) followStream {
	t.Helper()
	hello := helloOf(0, h.db.Position(), time.Minute)
	hello.Id = id
	stream, m, err := greet(t, h.target(t), hello)
	if err != nil || m.GetWelcome().GetCourse() != replicav1.Course_COURSE_ENTRIES {
		t.Fatalf("%v, %v", m, err)
	}
	return stream
}

func question(n uint64) *replicav1.FollowRequest {
	return &replicav1.FollowRequest{Message: &replicav1.FollowRequest_Ask{Ask: &replicav1.Ask{Number: n}}}
}

// Many more than there are senders read nothing of what they are sent. Those who do are fed all the same.
func TestWhoReadsNothingHoldsUpNobody(t *testing.T) {
	h := startHub(t, storagetest.Dir(t))
	commit(t, h.db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(0)}})
	good := startReplica(t, storagetest.Dir(t), time.Minute, h.target(t))
	await(t, good.db, h.db.Position())
	deaf := 4 * runtime.GOMAXPROCS(0)
	for n := range deaf {
		_ = byHand(t, h, fmt.Sprintf("%032x", n))
	}
	// More than windows, buffers of sockets and what gRPC keeps hold together.
	const writes, each = 40, 200
	for n := range writes {
		var keys []*key.Record
		for i := range each {
			r := record(1 + n*each + i)
			r.Description = strings.Repeat("x", 500)
			keys = append(keys, r)
		}
		commit(t, h.db, storage.Change{Action: "keys.create", Keys: keys})
	}
	at := revoke(t, h.db, record(0).ID)
	await(t, good.db, at)
	eventually(t, "the receipt", func() bool { return h.Receipt(at).Applied == 1 })
	waiting := 0
	h.mu.Lock()
	for _, m := range h.members {
		if m.session != nil && m.session.furthest.Before(at) {
			waiting++
		}
	}
	h.mu.Unlock()
	if waiting != deaf {
		t.Errorf("%d of %d who read nothing were sent everything: the test sends too little", deaf-waiting, deaf)
	}
}

// A replica that comes again takes the place of its session before, which hears of it when it says something.
func TestSessionsAreReplaced(t *testing.T) {
	h := startHub(t, storagetest.Dir(t))
	commit(t, h.db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(0)}})
	id := strings.Repeat("ab", 16)
	before := byHand(t, h, id)
	now := byHand(t, h, id)
	if err := before.Send(question(1)); err != nil {
		t.Fatal(err)
	}
	if m, err := before.Recv(); status.Code(err) != codes.Aborted {
		t.Errorf("the session before is told %v, %v", m, err)
	}
	if err := now.Send(question(1)); err != nil {
		t.Fatal(err)
	}
	m, err := now.Recv()
	if err != nil || m.GetCurrent().GetNumber() != 1 {
		t.Fatalf("%v, %v", m, err)
	}
	at := revoke(t, h.db, record(0).ID)
	if m, err = now.Recv(); err != nil || len(m.GetEntries().GetEntries()) != 1 {
		t.Fatalf("%v, %v", m, err)
	}
	e := m.GetEntries().GetEntries()[0]
	if err := now.Send(&replicav1.FollowRequest{Message: &replicav1.FollowRequest_Applied{Applied: &replicav1.Applied{
		Position: &logv1.Position{Epoch: e.GetEpoch(), Revision: e.GetRevision(), Digest: e.GetDigest()},
	}}}); err != nil {
		t.Fatal(err)
	}
	if r := receipt(t, h.Hub, at); !r.Complete() || r.Applied != 1 || r.Replicas != 1 {
		t.Errorf("receipt %+v", r)
	}
}

// Sessions of one replica take each other's place while they are greeted and fed.
func TestOneReplicaManySessionsAtOnce(t *testing.T) {
	h := startHub(t, storagetest.Dir(t))
	commit(t, h.db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(0)}})
	var all sync.WaitGroup
	for range 20 {
		to := h.target(t)
		all.Go(func() {
			hello := helloOf(0, h.db.Position(), time.Minute)
			hello.Snapshot = true
			if _, _, err := greet(t, to, hello); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// Sessions come and go while the hub writes and sends: each that stays has every write, in turn.
func TestSessionsComeAndGo(t *testing.T) {
	h := startHub(t, storagetest.Dir(t))
	commit(t, h.db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(0)}})
	const replicas, turns = 8, 50
	done := make(chan error, replicas)
	for n := range replicas {
		target := h.target(t)
		go func() {
			for range turns {
				if err := stay(t.Context(), h, target, fmt.Sprintf("%032x", n), 5); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	left := replicas
	for n := 1; left > 0; n++ {
		commit(t, h.db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(n)}})
		select {
		case err := <-done:
			if left--; err != nil {
				t.Error(err)
			}
		case <-t.Context().Done():
			t.Fatal("the sessions don't end")
		default:
		}
	}
	eventually(t, "all are gone", func() bool {
		for _, r := range h.Replicas() {
			if r.Connected {
				return false
			}
		}
		return true
	})
}

// stay has a session until so many entries have come.
func stay(ctx context.Context, h *hubProcess, target Target, id string, entries int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := replicav1.NewReplicaServiceClient(target.Connection).Follow(ctx)
	if err != nil {
		return err
	}
	at := h.db.Position()
	if err := stream.Send(&replicav1.FollowRequest{Message: &replicav1.FollowRequest_Hello{Hello: &replicav1.Hello{
		Protocol: protocol, Id: id, Name: "by hand", Version: "test", Position: wirePosition(at), MaxStaleness: wireLimit(time.Minute),
	}}}); err != nil {
		return err
	}
	if m, err := stream.Recv(); err != nil || m.GetWelcome() == nil {
		return fmt.Errorf("the first message isn't a Welcome: %v, %w", m, err)
	}
	for got := 0; got < entries; {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		for _, e := range m.GetEntries().GetEntries() {
			got++
			if at.Revision++; e.GetRevision() != at.Revision {
				return fmt.Errorf("revision %d comes where %d should", e.GetRevision(), at.Revision)
			}
		}
	}
	return nil
}

// What comes while a replica is served is looked at again, by one sender at a time, until it is retired.
func TestTurns(t *testing.T) {
	q := newSenders()
	q.watched = true // no other senders take the place of this one, however long it takes
	one, other, gone := &subscription{}, &subscription{}, &subscription{}
	q.wake(one) // a write before the Welcome
	if len(q.queue) != 0 {
		t.Error("it is served before it is welcome")
	}
	q.begin(one)
	q.begin(gone)
	q.begin(other)
	q.wake(one, gone, other, one)
	q.retire(gone)
	if s := q.next(0); s != one {
		t.Fatal("the first isn't served first")
	}
	q.wake(one, gone)
	if s := q.next(0); s != other {
		t.Fatal("a second sender serves what is served, or retired")
	}
	if !q.done(one) || q.done(one) {
		t.Error("what came while it was served isn't looked at, or is for ever")
	}
	q.wake(one)
	if s := q.next(0); s != one {
		t.Fatal("it isn't served a second time")
	}
	q.wake(one)
	retired := make(chan struct{})
	go func() {
		q.retire(one)
		close(retired)
	}()
	eventually(t, "it waits to be retired", func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return one.retiring != nil
	})
	if q.done(one) {
		t.Error("it is served although it is to be retired")
	}
	<-retired
	q.wake(one)
	if len(q.queue) != 0 {
		t.Error("it is served although it is retired")
	}
}
