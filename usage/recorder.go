package usage

import (
	"context"
	"time"

	"github.com/latchkey/latchkey/authz"
	"github.com/latchkey/latchkey/policy"
	"github.com/latchkey/latchkey/storage/tally"
)

// recorder counts checks in memory. The zero value isn't one.
type recorder struct {
	table *table
	spare *entries
	soon  chan struct{} // has one where a flush is asked for
	lost  func(n uint64)
}

func newRecorder(lost func(uint64)) *recorder {
	return &recorder{table: newTable(), spare: &entries{}, soon: make(chan struct{}, 1), lost: lost}
}

// Observe counts a check for which a key was found, whatever was answered.
func (r *recorder) Observe(_ context.Context, o *authz.Observation) {
	if o.Verdict.Key == nil {
		return
	}
	digest, ok := o.Secret()
	if !ok {
		return
	}
	r.count(&what{digest: digest, reason: o.Verdict.Reason, replaced: !o.Verdict.Key.Until.IsZero()}, o.At)
}

func (r *recorder) count(w *what, at time.Time) {
	minute := tally.MinuteOf(at)
	w.hour = minute / 60
	counted, soon := r.table.add(w, minute)
	if !counted {
		r.lost(1)
	}
	if soon {
		select {
		case r.soon <- struct{}{}:
		default:
		}
	}
}

// drain returns what was counted since it was called last. One goroutine calls it.
func (r *recorder) drain() (counts []tally.Count) {
	r.spare = r.table.drain(r.spare, func(e *entry) {
		counts = append(counts, tally.Count{Digest: e.digest, Hour: e.hour, Reason: e.reason.String(), Replaced: e.replaced, N: e.n, Minute: e.minute})
	})
	return tally.Merge(counts)
}

// reasons are the names of all reasons that a check can have.
func reasons() (names []string) {
	for _, r := range policy.Reasons() {
		names = append(names, r.String())
	}
	return names
}
