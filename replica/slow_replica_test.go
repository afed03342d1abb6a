package replica

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/latchkey/latchkey/key"
	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

func nobody(context.Context) (string, bool) { return "", false }

// trickle is a connection that is read from at a byte a second, once it is slow.
type trickle struct {
	net.Conn
	slow   *atomic.Bool
	closed chan struct{}
}

func (c trickle) Read(b []byte) (int, error) {
	if !c.slow.Load() {
		return c.Conn.Read(b)
	}
	select {
	case <-time.After(time.Second):
		return c.Conn.Read(b[:1])
	case <-c.closed:
		return 0, net.ErrClosed
	}
}

// trickles follows a hub through a connection that becomes slow once it is welcome. It begins with a snapshot, or not.
func trickles(t testing.TB, h *hubProcess, n int, whole bool) {
	t.Helper()
	slow := &atomic.Bool{}
	closed := make(chan struct{})
	c, err := grpc.NewClient("unix:"+h.socket, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", h.socket)
		return trickle{conn, slow, closed}, err
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(closed); _ = c.Close() })
	hello := helloOf(n, h.db.Position(), time.Hour)
	hello.Snapshot = whole
	_, m, err := greet(t, Target{"slow", c}, hello)
	if err != nil || m.GetWelcome() == nil {
		t.Fatalf("%v, %v", m, err)
	}
	slow.Store(true)
}

// revokeAll revokes all keys of a hub, one after the other, and returns how long each took, and the size of the file.
func revokeAll(t testing.TB, h *hubProcess, keys int) (took []time.Duration, size int64) {
	t.Helper()
	for n := range keys {
		began := time.Now()
		revoke(t, h.db, record(n).ID)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	info, err := os.Stat(filepath.Join(h.dir, "latchkey.db"))
	if err != nil {
		t.Fatal(err)
	}
	return took, info.Size()
}

// Replicas that read hardly anything cost the hub neither writes, nor memory, nor its file, and others don't wait.
//
// LATCHKEY_REVOKES is how many keys are revoked meanwhile.
func TestSlowReplicas(t *testing.T) {
	keys := 1000
	if testing.Short() {
		keys = 300
	}
	if text := os.Getenv("LATCHKEY_REVOKES"); text != "" {
		var err error
		if keys, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	const followers = 50
	filled := func() *hubProcess {
		h := startHub(t, storagetest.Dir(t))
		var all []*key.Record
		for n := range keys {
			all = append(all, record(n))
		}
		commit(t, h.db, storage.Change{Action: "keys.import", Keys: all})
		return h
	}
	alone := filled()
	without, size := revokeAll(t, alone, keys)
	alone.stop(t)

	h := filled()
	for n := range followers {
		trickles(t, h, n, n%2 == 0)
	}
	honest := startReplica(t, storagetest.Dir(t), time.Minute, h.target(t))
	await(t, honest.db, h.db.Position())
	heap := heapNow()
	with, sizeWith := revokeAll(t, h, keys)
	began := time.Now()
	await(t, honest.db, h.db.Position())
	behind := time.Since(began)
	grown := heapNow() - heap
	t.Logf("%d revokes: p50 %v, p99 %v, longest %v; beside %d slow replicas: p50 %v, p99 %v, longest %v",
		keys, percentile(without, 50), percentile(without, 99), without[len(without)-1], followers, percentile(with, 50), percentile(with, 99), with[len(with)-1])
	t.Logf("the file has %d KiB, and %d beside slow replicas; the heap grew by %d KiB; an honest replica was there %v after the last write", size>>10, sizeWith>>10, grown>>10, behind.Round(time.Millisecond))
	if sizeWith > 2*size {
		t.Errorf("the hub's file grew to %d bytes beside slow replicas, and to %d without", sizeWith, size)
	}
	if grown > 64<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
	if n := h.spools.count(); n > 2 {
		t.Errorf("%d snapshots were made", n)
	}
}

func percentile(sorted []time.Duration, n int) time.Duration {
	return sorted[min(len(sorted)-1, len(sorted)*n/100)].Round(time.Microsecond)
}

func heapNow() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Replicas that read nothing at all are like slow ones: their streams wait, and nothing else.
func TestReplicasThatNeverRead(t *testing.T) {
	h := hubWith(t, 50)
	for n := range 20 {
		s, err := replicav1.NewReplicaServiceClient(h.target(t).Connection).Follow(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		hello := helloOf(n, h.db.Position(), time.Hour)
		hello.Snapshot = n%2 == 0
		if err := s.Send(&replicav1.FollowRequest{Message: &replicav1.FollowRequest_Hello{Hello: hello}}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all are there", func() bool { return len(h.Replicas()) == 20 })
	honest := startReplica(t, storagetest.Dir(t), time.Minute, h.target(t))
	// Much more than the windows of their streams hold.
	for batch := range 5 {
		var all []*key.Record
		for n := range 500 {
			r := record(1000 + 500*batch + n)
			r.Description = strings.Repeat("at length ", 20)
			all = append(all, r)
		}
		commit(t, h.db, storage.Change{Action: "keys.import", Keys: all})
	}
	at := revoke(t, h.db, record(1).ID)
	await(t, honest.db, at)
	eventually(t, "fresh", func() bool { return honest.Status().Fresh })
	// One of them comes again, and isn't kept out by the stream that hangs.
	s, _, err := greet(t, h.target(t), helloOf(3, at, time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if c := askAndRead(t, s, 1); c.GetPosition().GetRevision() != at.Revision {
		t.Errorf("%v", c)
	}
}
