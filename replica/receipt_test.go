package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// awaiting waits for a receipt beside the test.
func awaiting(ctx context.Context, h *hubProcess, at storage.Position) <-chan Receipt {
	got := make(chan Receipt, 1)
	go func() { got <- h.Await(ctx, at) }()
	return got
}

func comes(t testing.TB, got <-chan Receipt) Receipt {
	t.Helper()
	select {
	case r := <-got:
		return r
	case <-time.After(soon):
		t.Fatal("the receipt doesn't come")
		return Receipt{}
	}
}

// leased is a replica that has been told that it is up to date.
func leased(t testing.TB, h *hubProcess, n int, limit time.Duration) replicav1.ReplicaService_FollowClient {
	t.Helper()
	s, _, err := greet(t, h.target(t), helloOf(n, h.db.Position(), limit))
	if err != nil {
		t.Fatal(err)
	}
	askAndRead(t, s, 1)
	return s
}

// A receipt comes when the last replica has applied the write, and not before.
func TestAwaitEndsWhenAllHaveApplied(t *testing.T) {
	h := hubWith(t, 5)
	first, second := leased(t, h, 1, time.Hour), leased(t, h, 2, time.Hour)
	at := revoke(t, h.db, record(1).ID)
	got := awaiting(t.Context(), h, at)
	acknowledge := func(s replicav1.ReplicaService_FollowClient) {
		for {
			m, err := s.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if m.GetEntries() != nil {
				break
			}
		}
		if err := s.Send(&replicav1.FollowRequest{Message: &replicav1.FollowRequest_Applied{Applied: &replicav1.Applied{Position: wirePosition(at)}}}); err != nil {
			t.Fatal(err)
		}
	}
	acknowledge(first)
	eventually(t, "one has applied it", func() bool { r := h.Receipt(at); return r.Applied == 1 })
	select {
	case r := <-got:
		t.Fatalf("one is missing: %+v", r)
	default:
	}
	r := h.Await(now(t), at)
	if r.Complete() || r.Applied != 1 || r.Replicas != 2 || len(r.Missing) != 1 || r.Missing[0].Name != "pod-2" || !r.Missing[0].Connected || r.Never {
		t.Errorf("%+v", r)
	}
	acknowledge(second)
	if r := comes(t, got); !r.Complete() || r.Applied != 2 || r.Replicas != 2 {
		t.Errorf("%+v", r)
	}
	if len(h.waiters) != 0 {
		t.Error("a waiter is left")
	}
}

// A receipt comes when the last lease of those that don't know the write has ended, without anybody saying a word.
func TestAwaitEndsWithTheLeases(t *testing.T) {
	h := hubWith(t, 5)
	var at storage.Position
	var r Receipt
	// On a machine that is busy they may be over before the write is there: they are given anew then, and longer.
	for try, unit := 0, 100*time.Millisecond; try < 4; try, unit = try+1, 3*unit {
		began := time.Now()
		leased(t, h, 1, 4*unit)
		leased(t, h, 2, 7*unit)
		at = revoke(t, h.db, record(try).ID)
		if r = h.Await(now(t), at); len(r.Missing) == 2 || time.Since(began) < 4*unit {
			break
		}
	}
	if r.Complete() || len(r.Missing) != 2 || r.Missing[0].Name != "pod-1" || !r.Ends.After(r.Missing[0].Ends) {
		t.Errorf("they are missing by the end of their leases: %+v", r)
	}
	ends := r.Ends
	if r = comes(t, awaiting(t.Context(), h, at)); !r.Complete() || r.Replicas != 0 {
		t.Errorf("%+v", r)
	}
	if late := time.Since(ends); late < 0 || late > soon/2 {
		t.Errorf("the receipt came %v after the last of the leases had ended", late)
	}
}

// Who stops to wait gets the receipt of that moment. A lease without limit never ends, until the replica is forgotten.
func TestAwaitAndForget(t *testing.T) {
	h := hubWith(t, 5)
	s := leased(t, h, 1, 0)
	other := leased(t, h, 2, time.Hour)
	id := helloOf(1, storage.Position{}, 0).GetId()
	if _, err := h.Forget(id, "", true); !errors.Is(err, ErrConnected) {
		t.Error(err)
	}
	if _, err := h.Forget(helloOf(77, storage.Position{}, 0).GetId(), "", true); !errors.Is(err, ErrNoReplica) {
		t.Error(err)
	}
	for _, one := range []replicav1.ReplicaService_FollowClient{s, other} {
		if err := one.CloseSend(); err != nil {
			t.Fatal(err)
		}
		_ = until(t, one)
	}
	eventually(t, "both are away", func() bool { a := h.Replicas(); return !a[0].Connected && !a[1].Connected })
	if _, err := h.Forget(helloOf(2, storage.Position{}, 0).GetId(), "", false); !errors.Is(err, ErrLease) || !strings.Contains(err.Error(), "--gone") {
		t.Error(err)
	}
	at := revoke(t, h.db, record(1).ID)
	ctx, cancel := context.WithCancel(t.Context())
	got := awaiting(ctx, h, at)
	cancel()
	r := comes(t, got)
	if r.Complete() || !r.Never || len(r.Missing) != 2 || r.Missing[1].Name != "pod-1" || !r.Missing[1].Ends.IsZero() {
		t.Errorf("%+v", r)
	}
	// A start of the hub changes nothing in that.
	dir := h.dir
	h.stop(t)
	h = startHub(t, dir)
	if r := h.Await(now(t), at); !r.Never || len(r.Missing) != 2 {
		t.Errorf("after another start: %+v", r)
	}
	if _, err := h.Forget(id, "", false); err != nil {
		t.Fatal(err)
	}
	if r := h.Await(now(t), at); r.Never || len(r.Missing) != 1 {
		t.Errorf("it is forgotten: %+v", r)
	}
	h.stop(t)
	if r := startHub(t, dir).Await(now(t), at); r.Never || len(r.Missing) != 1 {
		t.Errorf("it is forgotten for good: %+v", r)
	}
}

// Nobody follows: the write is known to all there are, at once.
func TestAReceiptOfNobody(t *testing.T) {
	h := startHub(t, storagetest.Dir(t))
	if r := h.Await(now(t), h.db.Position()); !r.Complete() || r.Replicas != 0 || time.Since(r.Ends) > soon {
		t.Errorf("%+v", r)
	}
}

// One of several with an id is named by its identity, and one whose lease ends by itself goes if it is known to be gone.
func TestForgetOne(t *testing.T) {
	h := hubWith(t, 5)
	for _, m := range []*member{
		{memberKey: memberKey{"a", "1"}, Peer: Peer{Leased: true}},
		{memberKey: memberKey{"b", "1"}, Peer: Peer{Leased: true}, session: &subscription{}},
		{memberKey: memberKey{"c", "1"}, Peer: Peer{Leased: true, Limit: time.Hour, Asked: h.now()}},
		{memberKey: memberKey{"c", "2"}, Peer: Peer{Leased: true, Limit: time.Hour, Asked: h.now()}},
		{memberKey: memberKey{"c", "3"}, Peer: Peer{Leased: true, Limit: 1}},
	} {
		h.mu.Lock()
		h.members[m.memberKey] = m
		h.mu.Unlock()
	}
	for _, step := range []struct {
		id, identity string
		gone         bool
		want         error
		left         string // identity and id of each
	}{
		{"1", "", true, ErrIdentity, "a1 b1 c1 c2 c3"},
		{"1", "d", true, ErrNoReplica, "a1 b1 c1 c2 c3"},
		{"1", "b", true, ErrConnected, "a1 b1 c1 c2 c3"},
		{"1", "a", false, nil, "b1 c1 c2 c3"},
		{"1", "c", false, ErrLease, "b1 c1 c2 c3"},
		{"1", "c", true, nil, "b1 c2 c3"},
		{"2", "", false, ErrLease, "b1 c2 c3"},
		{"2", "", true, nil, "b1 c3"},
		{"3", "", false, nil, "b1"}, // its lease is over
	} {
		may, mayErr := h.MayForget(step.id, step.identity, step.gone)
		before := h.Replicas()
		forgotten, err := h.Forget(step.id, step.identity, step.gone)
		if fmt.Sprint(mayErr) != fmt.Sprint(err) || may.ID != forgotten.ID || may.Identity != forgotten.Identity || err == nil && forgotten.ID != step.id {
			t.Errorf("%+v: it may forget %+v (%v), and forgot %+v (%v)", step, may, mayErr, forgotten, err)
		}
		if after := h.Replicas(); err == nil && len(after) != len(before)-1 {
			t.Errorf("%+v: of %d replicas %d are left", step, len(before), len(after))
		}
		if !errors.Is(err, step.want) {
			t.Errorf("%+v: %v", step, err)
		}
		if step.want == ErrIdentity && !strings.HasSuffix(err.Error(), ": a, b, c") {
			t.Errorf("it doesn't list who has the id: %v", err)
		}
		var left []string
		for _, r := range h.Replicas() {
			left = append(left, r.Identity+r.ID)
		}
		slices.Sort(left)
		if got := strings.Join(left, " "); got != step.left {
			t.Errorf("%+v: %s are left", step, got)
		}
	}
	h.mu.Lock()
	clear(h.members) // nobody is there whose stream could be ended
	h.mu.Unlock()
}
