package replica

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/internal/disk"
	"github.com/latchkey/latchkey/key"
	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// greet opens a session, and returns the hub's first message. The stream ends with the test.
func greet(t testing.TB, to Target, hello *replicav1.Hello) (replicav1.ReplicaService_FollowClient, *replicav1.FollowResponse, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	s, err := replicav1.NewReplicaServiceClient(to.Connection).Follow(ctx)
	if err != nil {
		return nil, nil, err
	}
	// A hub that refuses at once may have ended the stream already. Why, only Recv tells.
	if err := s.Send(&replicav1.FollowRequest{Message: &replicav1.FollowRequest_Hello{Hello: hello}}); err != nil && !errors.Is(err, io.EOF) {
		return s, nil, err
	}
	m, err := s.Recv()
	return s, m, err
}

// hello is a Hello of a replica that has what the hub has.
func helloOf(n int, at storage.Position, limit time.Duration) *replicav1.Hello {
	return &replicav1.Hello{Protocol: protocol, Id: fmt.Sprintf("%032x", n), Name: fmt.Sprint("pod-", n), Version: "test", Position: wirePosition(at), MaxStaleness: wireLimit(limit)}
}

// askAndRead asks until the question is answered, and returns the answer.
func askAndRead(t testing.TB, s replicav1.ReplicaService_FollowClient, number uint64) *replicav1.Current {
	t.Helper()
	if err := s.Send(&replicav1.FollowRequest{Message: &replicav1.FollowRequest_Ask{Ask: &replicav1.Ask{Number: number}}}); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := s.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if c := m.GetCurrent(); c != nil && c.GetNumber() == number {
			return c
		}
	}
}

// hubWith is a hub with some keys.
func hubWith(t testing.TB, keys int) *hubProcess {
	t.Helper()
	h := startHub(t, storagetest.Dir(t))
	for n := range keys {
		commit(t, h.db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(n)}})
	}
	return h
}

// now is a context that is over: who waits by it looks once.
func now(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// A hub that is started again counts who may hold a lease of the one before, until those leases have surely ended.
func TestARosterOutlivesTheHub(t *testing.T) {
	h := hubWith(t, 1)
	s, _, err := greet(t, h.target(t), helloOf(1, h.db.Position(), time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	askAndRead(t, s, 1)
	dir := h.dir
	h.stop(t)

	h = startHub(t, dir)
	at := commit(t, h.db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(2)}})
	r := h.Await(now(t), at)
	if r.Complete() || r.Replicas != 1 || r.Forgot || r.Missing[0].Name != "pod-1" || !r.Missing[0].Holds {
		t.Errorf("%+v", r)
	}
	if left := time.Until(r.Ends); left < 59*time.Minute || left > 61*time.Minute {
		t.Errorf("its lease ends in %v, and is for an hour at most from the start on", left)
	}
}

// A hub that can't read who may hold leases says so in every receipt, and feeds all the same.
func TestADamagedRoster(t *testing.T) {
	good, err := proto.Marshal(&replicav1.Roster{Members: []*replicav1.Member{{Id: "a", Identity: "test"}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"empty":     {},
		"three":     {1, 2, 3},
		"no sum":    good,
		"wrong sum": binary.LittleEndian.AppendUint32(good, crc32.Checksum(good, castagnoli)^1),
	} {
		t.Run(name, func(t *testing.T) {
			dir := storagetest.Dir(t)
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, rosterName), content, 0o600); err != nil {
				t.Fatal(err)
			}
			h := startHub(t, dir)
			at := commit(t, h.db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(1)}})
			if r := h.Await(t.Context(), at); !r.Forgot || r.Complete() {
				t.Errorf("the receipt doesn't tell: %+v", r)
			}
			if told := strings.Join(h.Problems(), ""); !strings.Contains(told, rosterName+disk.DamagedSuffix) {
				t.Errorf("the problems don't name the file: %q", told)
			}
			if _, m, err := greet(t, h.target(t), helloOf(1, at, time.Hour)); err != nil || m.GetWelcome() == nil {
				t.Errorf("%v, %v", m, err)
			}
			// The roster is whole by now, and still not all that it was.
			h.stop(t)
			h = startHub(t, dir)
			if r := h.Receipt(at); !r.Forgot {
				t.Errorf("after another start the receipt doesn't tell: %+v", r)
			}
			h.stop(t)
			if err := os.Remove(filepath.Join(dir, rosterName+disk.DamagedSuffix)); err != nil {
				t.Fatal(err)
			}
			h = startHub(t, dir)
			if r := h.Receipt(at); r.Forgot || len(h.Problems()) > 0 {
				t.Errorf("the operator has removed the damaged file: %+v, %q", r, h.Problems())
			}
		})
	}
}

// A roster whose sum is right and whose content can't be is an error of the start, which names the file.
func TestARosterOfNoSense(t *testing.T) {
	dir := storagetest.Dir(t)
	db := storagetest.Open(t, dir)
	roster := &replicav1.Roster{Members: []*replicav1.Member{{Id: "a", MaxStaleness: wireLimit(-time.Second)}}}
	if err := writeSealed(filepath.Join(dir, rosterName), roster, true); err != nil {
		t.Fatal(err)
	}
	if _, err := NewHub(HubOptions{DB: db, Folder: dir, Log: quiet}); err == nil {
		t.Error("it starts")
	}
}

// Nobody is welcomed, and so gets a lease, before the roster on the disk has him: also where the first attempt to write
// it failed, and he comes again.
func TestNoLeaseWithoutTheRoster(t *testing.T) {
	h := hubWith(t, 1)
	obstacle := filepath.Join(h.dir, rosterName+".new") // where it is written to first
	if err := os.Mkdir(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		if _, m, err := greet(t, h.target(t), helloOf(1, h.db.Position(), time.Hour)); err == nil {
			t.Fatalf("attempt %d: it is welcomed without being written down: %v", n, m)
		}
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	if _, _, err := greet(t, h.target(t), helloOf(1, h.db.Position(), time.Hour)); err != nil {
		t.Fatal(err)
	}
	var roster replicav1.Roster
	if err := readSealed(h.path, &roster); err != nil || len(roster.GetMembers()) != 1 {
		t.Errorf("%v, %v", &roster, err)
	}
	// A longer lease is written down before it is given, too.
	if err := os.Mkdir(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := greet(t, h.target(t), helloOf(1, h.db.Position(), time.Hour)); err != nil {
		t.Errorf("what is written down already needs no writing: %v", err)
	}
	for range 2 {
		if _, _, err := greet(t, h.target(t), helloOf(1, h.db.Position(), 2*time.Hour)); err == nil {
			t.Error("it gets a lease of two hours, and one is written down")
		}
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
}

// While a shorter limit is on its way to the disk, the longer one that is there counts for nothing: it isn't there for long.
func TestALimitThatIsBeingReplacedIsNotWrittenDown(t *testing.T) {
	h := hubWith(t, 1)
	if _, _, err := greet(t, h.target(t), helloOf(1, h.db.Position(), time.Hour)); err != nil {
		t.Fatal(err)
	}
	comes := func(limit time.Duration) (written bool) {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, m := range h.members {
			m.Limit = limit
			written = m.isWritten()
		}
		return written
	}
	if !comes(time.Hour) || comes(time.Minute) {
		t.Fatal("an hour is written down, and nothing else")
	}
	_, limits := h.rosterNow()
	if comes(time.Hour) {
		t.Error("an hour needs no writing, and the disk is about to have a minute")
	}
	h.wrote(limits)
	if comes(time.Hour) || !comes(time.Minute) {
		t.Error("the disk has a minute")
	}
}

// blockedIn counts the goroutines within a function that wait for a channel.
func blockedIn(in string) (n int) {
	stacks := make([]byte, 16<<20)
	for one := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		if state, calls, _ := strings.Cut(one, "\n"); strings.Contains(state, "[chan receive") && strings.Contains(calls, in) {
			n++
		}
	}
	return n
}

// Many who join at the same time are written down by few writes, and each after its own entry.
func TestManyJoinByFewWrites(t *testing.T) {
	h := hubWith(t, 1)
	write, began, gate := h.saver.write, make(chan struct{}), make(chan struct{})
	var writes atomic.Int64
	var once sync.Once
	h.saver.write = func() error {
		writes.Add(1)
		once.Do(func() { close(began); <-gate })
		return write()
	}
	const joiners = 100
	var joined sync.WaitGroup
	join := func(n int) {
		to := h.target(t) // each has a connection of its own
		joined.Go(func() {
			if _, m, err := greet(t, to, helloOf(n, h.db.Position(), time.Hour)); err != nil || m.GetWelcome() == nil {
				t.Errorf("%v, %v", m, err)
			}
		})
	}
	join(0)
	<-began
	for n := range joiners {
		join(n + 1)
	}
	eventually(t, "all have come", func() bool { return len(h.Replicas()) == joiners+1 })
	eventually(t, "all wait to be written down", func() bool { return blockedIn("replica.(*saver).save(") == joiners+1 })
	close(gate)
	joined.Wait()
	var roster replicav1.Roster
	if err := readSealed(h.path, &roster); err != nil || len(roster.GetMembers()) != joiners+1 {
		t.Errorf("%d are written down, %v", len(roster.GetMembers()), err)
	}
	// Those who came while the first write lasted wait for one. The hub makes one itself each minute.
	if n := writes.Load(); n > 3 {
		t.Errorf("%d writes for %d who joined at the same time", n, joiners+1)
	}
}
