package tally

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/latchkey/latchkey/key"
	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
)

func TestABatchCountsOnce(t *testing.T) {
	b := open(t, nil)
	one := allowed(1, noon, 1)
	for i, step := range []struct {
		identity, id string
		batch        *replicav1.UsageBatch
		ever         uint64 // afterwards
	}{
		{"pod-a", "id", batch(1, 1, one), 1},
		{"pod-a", "id", batch(1, 1, one), 1},                            // the answer was lost
		{"pod-a", "id", batch(1, 5, one), 2},                            // numbers are left out where batches were put together
		{"pod-a", "id", batch(1, 4, one), 2},                            // late
		{"pod-b", "id", batch(1, 5, one), 3},                            // another's
		{"pod-a", "other", batch(1, 5, one), 4},                         // another replica of that identity
		{"pod-a", "id", batch(1, 5, one), 4},                            // none of which changes what was taken of this one
		{"pod-a", "id", batch(2, 1, one), 5},                            // its file was begun anew
		{"pod-a", "id", batch(2, 1, one), 5},                            // and counts once
		{"pod-a", "id", batch(2, 2), 5},                                 // nothing
		{"pod-a", "id", batch(2, math.MaxUint64, one), 6},               // the greatest
		{"pod-a", "id", batch(2, 3, one, one, one), 6},                  // is the last
		{"pod-a\x00id", "", batch(3, 1, one), 7},                        // no name is that of two
		{"pod-c", "id", batch(1, 1, one, one, allowed(1, noon, 3)), 12}, // what is the same comes together
	} {
		if i%3 == 2 {
			b.again()
		}
		if _, err := b.Receive(t.Context(), Report{Identity: step.identity, ID: step.id, Batch: step.batch}); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		if got := b.ever(1); got != step.ever {
			t.Fatalf("after step %d it counts %d, want %d", i, got, step.ever)
		}
	}
	senders, err := b.Senders()
	if err != nil || len(senders) != 5 {
		t.Errorf("%d senders: %v, %v", len(senders), senders, err)
	}
}

// Those that come at the same time are taken together, each once.
func TestReportsAtTheSameTime(t *testing.T) {
	b := open(t, nil)
	const senders, numbers = 20, 10
	var all sync.WaitGroup
	for n := range senders {
		for range 2 { // each is sent twice
			all.Go(func() {
				for number := range numbers {
					_, err := b.Receive(t.Context(), Report{Identity: "pods", ID: fmt.Sprint(n), Batch: batch(1, uint64(number+1), allowed(1, noon, 1))})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	all.Wait()
	if got := b.ever(1); got != senders*numbers {
		t.Errorf("it counts %d, want %d", got, senders*numbers)
	}
}

// Whatever a replica reports, it is bounded, and tells of no time to come.
func TestAHostileReport(t *testing.T) {
	known := func(d key.Digest) bool { return d[0] < 10 }
	b := open(t, func(o *Options) { o.Knows = known })
	report := func(m *replicav1.UsageBatch) (Receipt, error) {
		return b.Receive(t.Context(), Report{Identity: "pod", ID: "id", Batch: m})
	}
	short, crowd := batch(1, 1, allowed(1, noon, 1)), batch(1, 1)
	short.Counts[0].Digest = short.Counts[0].Digest[1:]
	for range batchRows + 1 {
		crowd.Counts = append(crowd.Counts, &replicav1.UsageCount{Digest: make([]byte, 32)})
	}
	for name, m := range map[string]*replicav1.UsageBatch{
		"none": nil, "no source": {Number: 1}, "another source": {Number: 1, Source: "zz"}, "no number": batch(1, 0), "short digest": short, "crowd": crowd,
	} {
		if _, err := report(m); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.Receive(t.Context(), Report{Identity: strings.Repeat("x", maxIdentity+1), Batch: batch(1, 1)}); !errors.Is(err, ErrInvalid) {
		t.Errorf("a long identity: %v", err)
	}
	future, old := allowed(2, noon.Add(1000*time.Hour), 3), allowed(3, noon.Add(-Accepted-2*time.Hour), 5)
	future.Hour, future.Minute = math.MaxUint32, math.MaxUint32
	strange := allowed(4, noon, 2)
	strange.Reason = strings.Repeat("x", 1000)
	receipt, err := report(batch(1, 1, allowed(1, noon, math.MaxUint64), allowed(1, noon, 7), allowed(77, noon, 9), future, old, strange))
	if err != nil || receipt != (Receipt{Unknown: 9, Old: 5}) {
		t.Errorf("%+v, %v", receipt, err)
	}
	if got := b.ever(1); got != math.MaxUint64 {
		t.Errorf("what is too much is %d", got)
	}
	if _, err := report(batch(1, 2, allowed(1, noon, 7))); err != nil || b.ever(1) != math.MaxUint64 {
		t.Errorf("more than that is %d, %v", b.ever(1), err)
	}
	if got := b.ever(77) + b.ever(3); got != 0 {
		t.Errorf("unknown and old ones count %d", got)
	}
	u := b.used(2, noon.Add(-time.Hour))
	if !u.Last.Equal(noon) || len(u.Periods) != 1 || !u.Periods[0].Start.Equal(noon.Truncate(time.Hour)) {
		t.Errorf("a clock that is ahead: %+v", u)
	}
	if u := b.used(4, noon); len(u.Ever) != 1 || u.Ever[0] != (Total{Other, false, 2}) {
		t.Errorf("a reason that nobody knows: %+v", u)
	}
}

// A sender is forgotten no sooner than what it had sent is too old to be taken again.
func TestSendersAreForgotten(t *testing.T) {
	b := open(t, nil)
	r := Report{Identity: "pod", ID: "id", Batch: batch(1, 1, allowed(1, noon, 1))}
	if _, err := b.Receive(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	for _, later := range []time.Duration{Accepted, Accepted + 2*time.Hour, senderKept, senderKept + 2*time.Second, 3 * senderKept} {
		b.set(noon.Add(later))
		if _, err := b.Fold(); err != nil {
			t.Fatal(err)
		}
		b.again()
		if _, err := b.Receive(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if got := b.ever(1); got != 1 {
			t.Fatalf("%s later it counts %d", later, got)
		}
	}
}

// Whoever sends one report after the other and waits for none doesn't fill the memory.
func TestReportsThatNobodyWaitsFor(t *testing.T) {
	b := open(t, nil)
	begun, goOn, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		_ = b.update(func(*bbolt.Tx) error { close(begun); <-goOn; return nil })
	}()
	<-begun
	r := func(number uint64) Report {
		return Report{Identity: "pods", ID: "id", Batch: batch(1, number, allowed(1, noon, 1))}
	}
	first := make(chan error)
	go func() { _, err := b.Receive(t.Context(), r(1)); first <- err }()
	for { // until it waits for its transaction
		b.queue.mu.Lock()
		taken := b.queue.running && len(b.queue.waiting) == 0
		b.queue.mu.Unlock()
		if taken {
			break
		}
		runtime.Gosched()
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for n := range uint64(1000) {
		if _, err := b.Receive(gone, r(n+2)); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	b.queue.mu.Lock()
	if n := len(b.queue.waiting); n > 0 {
		t.Errorf("%d reports wait, of nobody", n)
	}
	b.queue.mu.Unlock()
	close(goOn)
	<-over
	if err := <-first; err != nil {
		t.Error(err)
	}
	if got := b.ever(1); got != 1 {
		t.Errorf("it counts %d, want 1", got)
	}
}

// One identity can't keep the others from being counted, whatever names it makes up.
func TestSendersOfOneIdentity(t *testing.T) {
	b := open(t, nil)
	now := noon
	if err := b.update(func(tx *bbolt.Tx) error {
		for i := range maxOfIdentity {
			if err := put(tx, bucketSenders, senderName("greedy", fmt.Sprint(i)), sender{source: make([]byte, 16), number: 1, at: now}.encode()); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	one := allowed(1, noon, 1)
	for _, c := range []struct {
		identity, id string
		counts       []Count
		want         error
	}{
		{"greedy", "new", []Count{one}, ErrSenders},
		{"greedy", "7", []Count{one}, nil}, // one that is known
		{"greedy", "empty", nil, nil},      // and leaves no trace
		{"greed", "new", []Count{one}, nil},
		{"honest", "new", []Count{one}, nil},
	} {
		if _, err := b.Receive(t.Context(), Report{Identity: c.identity, ID: c.id, Batch: batch(1, 2, c.counts...)}); !errors.Is(err, c.want) {
			t.Errorf("%s %s: %v, want %v", c.identity, c.id, err, c.want)
		}
	}
	if senders, err := b.Senders(); err != nil || len(senders) != maxOfIdentity+2 {
		t.Errorf("%d senders, %v; want two more", len(senders), err)
	}
}
