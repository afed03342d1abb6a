package tally

import (
	"math/rand/v2"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/key"
	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
)

func sent(m *replicav1.UsageBatch) (n uint64) {
	for _, c := range m.GetCounts() {
		n += c.GetCount()
	}
	return n
}

// Whatever is queued, sent, acknowledged and begun again in whichever order: nothing is lost, what may have been sent
// doesn't change, and numbers grow.
func TestTheOutboxLosesNothing(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		b := open(t, nil)
		var queued, taken, newest uint64
		var head *replicav1.UsageBatch
		steps := rapid.SliceOfN(rapid.IntRange(0, 9), 1, 40).Draw(r, "steps")
		for _, step := range steps {
			switch {
			case step < 6: // so many flushes, of few secrets
				for range 1 + 8*step {
					c := allowed(byte(rand.IntN(5)), noon.Add(-time.Duration(rand.IntN(40))*time.Hour), 1)
					queued++
					if dropped, err := b.Queue([]Count{c}); err != nil || dropped > 0 {
						r.Fatal(dropped, err)
					}
				}
			case step == 6:
				b.again()
			default:
				m, err := b.Head()
				if err != nil {
					r.Fatal(err)
				}
				if head != nil && !proto.Equal(m, head) {
					r.Fatalf("what may have been sent has changed:\n%v\n%v", head, m)
				}
				if head = m; m == nil {
					continue
				}
				if m.GetNumber() < newest {
					r.Fatalf("number %d comes after %d", m.GetNumber(), newest)
				}
				newest = m.GetNumber()
				if step == 9 {
					if err := b.Acknowledge(m); err != nil {
						r.Fatal(err)
					}
					taken += sent(m)
					head, newest = nil, newest+1
				}
			}
		}
		if b.Pending() > 2*mergeEvery+2 {
			r.Fatalf("%d batches wait", b.Pending())
		}
		for {
			m, err := b.Head()
			if err != nil {
				r.Fatal(err)
			}
			if m == nil {
				break
			}
			taken += sent(m)
			if err := b.Acknowledge(m); err != nil {
				r.Fatal(err)
			}
		}
		if taken != queued || b.Pending() != 0 || b.pendingRows.Load() != 0 {
			r.Fatalf("%d were queued and %d sent; %d batches and %d counts are said to wait", queued, taken, b.Pending(), b.pendingRows.Load())
		}
	})
}

// Who is cut off for long keeps the totals, at first by the hour, then by the day, and gives up the oldest last.
func TestSqueeze(t *testing.T) {
	now := HourOf(noon)
	fill := func(secrets, hours int) (all []Count, n uint64) {
		for s := range secrets {
			for h := range hours {
				all = append(all, Count{Digest: key.Digest{byte(s), byte(s >> 8), byte(s >> 16)}, Hour: now - uint32(h), Reason: "ALLOWED", N: 2})
				n += 2
			}
		}
		return all, n
	}
	of := func(all []Count) (n uint64) {
		for _, c := range all {
			n += c.N
		}
		return n
	}
	for name, c := range map[string]struct {
		secrets, hours int
		fewer          int
		loses          bool
	}{
		"few":                    {10, 100, 1000, false},
		"more than the hours":    {2000, 60, 2000 * (13 + 2), false}, // today by the hour, and two days
		"more than what fits":    {60_000, 1, maxPendingRows / 2, true},
		"more of each than fits": {4000, 100, maxPendingRows / 2, true},
	} {
		all, before := fill(c.secrets, c.hours)
		fewer, dropped := squeeze(all, now)
		if len(fewer) != c.fewer && !c.loses || len(fewer) > maxPendingRows/2 {
			t.Errorf("%s: %d are left, want %d", name, len(fewer), c.fewer)
		}
		if of(fewer)+dropped != before || dropped > 0 != c.loses {
			t.Errorf("%s: of %d it keeps %d and drops %d", name, before, of(fewer), dropped)
		}
	}
}

func TestABatchFitsAMessage(t *testing.T) {
	b := open(t, nil)
	var all []Count
	for n := range batchRows {
		all = append(all, Count{Digest: key.Digest{byte(n), byte(n >> 8)}, Hour: 1 << 31, Reason: "ENVIRONMENT_MISMATCH", Replaced: true, N: 1 << 62, Minute: 1 << 31})
	}
	if _, err := b.Queue(all); err != nil {
		t.Fatal(err)
	}
	m, err := b.Head()
	if err != nil || len(m.GetCounts()) != batchRows || proto.Size(m) > MaxBatch {
		t.Errorf("%d counts take %d bytes, %v", len(m.GetCounts()), proto.Size(m), err)
	}
}

// A file that was begun anew has other batches of the same numbers.
func TestAnAcknowledgementOfAnotherFile(t *testing.T) {
	b := open(t, nil)
	if _, err := b.Queue([]Count{allowed(1, noon, 1)}); err != nil {
		t.Fatal(err)
	}
	if err := b.Acknowledge(batch(1, 1)); err != nil || b.Pending() != 1 {
		t.Errorf("%d wait, %v", b.Pending(), err)
	}
}
