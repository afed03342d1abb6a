package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"connectrpc.com/connect"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// write is one write of the admin API, and what the model makes of it.
type write interface {
	// kind names it in the report.
	kind() string
	// call makes it, and keeps the answer. Its error is that of the call.
	call(ctx context.Context, v *victim) error
	// acked checks the answer, and brings the model to it.
	acked() (*adminv1.Position, error)
	// found looks, after a kill that no answer came before, whether all of it
	// was done, or nothing, and brings the model to that.
	found(ctx context.Context, v *victim) (bool, error)
}

// writer writes one thing after another. What it writes to is its own, so that
// only its own writes explain what is found there.
type writer struct {
	h    *history
	name string
	rand *rand.Rand
	more func() write // what only this one writes, now and then; or nil

	byID    map[string]*ownKey
	alive   []*ownKey // not revoked
	recent  []*ownKey // those that were changed of late
	queue   []*ownKey // still to be revoked, in bulk
	bulk    string
	names   int
	touched map[*ownKey]bool // in this round

	pending  write // no answer has come
	revision uint64
}

const owners = 8 // of each kind of new keys, for each writer

// creators are principals who answer for keys, and may do everything.
var creators = []string{"user:c0", "user:c1", "user:c2"}

func (w *writer) unique() string {
	w.names++
	return w.name + "-" + strconv.Itoa(w.names)
}

func (w *writer) owner(n int) string { return w.name + "-" + strconv.Itoa(n) }

func (w *writer) touch(k *ownKey) { w.touched[k] = true }

// changed notes that a key has changed.
func (w *writer) changed(k *ownKey) {
	w.touch(k)
	w.recent = append(w.recent, k)
	w.recent = w.recent[max(0, len(w.recent)-32):]
	if k.revoked() {
		if i := slices.Index(w.alive, k); i >= 0 {
			w.alive[i] = w.alive[len(w.alive)-1]
			w.alive = w.alive[:len(w.alive)-1]
		}
		w.recent = slices.DeleteFunc(w.recent, func(other *ownKey) bool { return other == k })
	}
}

// write makes writes until the process is killed. One whose answer doesn't
// come is left in pending.
func (w *writer) write(ctx context.Context, v *victim, count func(kind string)) error {
	for !v.killed.Load() {
		if w.pending == nil {
			next, err := w.next(ctx, v)
			if err != nil {
				return w.excuse(v, err)
			}
			w.pending = next
		}
		if err := w.pending.call(ctx, v); err != nil {
			return w.excuse(v, fmt.Errorf("%s: %w", w.pending.kind(), err))
		}
		at, err := w.pending.acked()
		if err != nil {
			return err
		}
		if at.GetEpoch() != w.h.epoch || at.GetRevision() <= w.revision {
			return fmt.Errorf("%s was acknowledged at %v, after revision %d of epoch %d", w.pending.kind(), at, w.revision, w.h.epoch)
		}
		w.revision = at.GetRevision()
		kind := w.pending.kind()
		w.pending = nil
		count(kind)
	}
	return nil
}

// excuse forgives an error that the kill made. What the server said itself
// counts whenever it comes.
func (w *writer) excuse(v *victim, err error) error {
	if v.killed.Load() && !connect.IsWireError(err) {
		return nil
	}
	return err
}

// next decides what to write.
func (w *writer) next(ctx context.Context, v *victim) (write, error) {
	if w.more != nil && w.rand.IntN(2) == 0 {
		return w.more(), nil
	}
	for len(w.queue) > 0 {
		k := w.queue[0]
		w.queue = w.queue[1:]
		if !k.revoked() {
			return w.revoke(w.bulk, k), nil
		}
	}
	r := w.rand
	k := w.pick()
	switch p := r.IntN(100); {
	case p < 5 || len(w.alive) < 20:
		return w.create(w.owner(r.IntN(owners))), nil
	case p < 7:
		n, first := 2+r.IntN(9), r.IntN(owners) // a batch of several owners
		if r.IntN(30) == 0 {
			n = 150 // which takes many pages
		}
		return w.batch(n, func() string { return w.owner((first + r.IntN(2)) % owners) }), nil
	case p < 9:
		return w.bulkRevoke(ctx, v)
	case p < 23 && k.kind.rotates:
		return w.rotate(k, 0), nil
	case p < 37 && k.kind.grace && k.shown.GetRetiring() == nil:
		return w.rotate(k, longGrace), nil
	case p < 44:
		return w.revoke("revoke", k), nil
	case p < 70:
		return w.toggle(k), nil
	default:
		return w.update(k), nil
	}
}

func (w *writer) pick() *ownKey {
	from := w.alive
	if len(w.recent) > 0 && w.rand.IntN(2) == 0 {
		from = w.recent
	}
	if len(from) == 0 {
		return nil
	}
	return from[w.rand.IntN(len(from))]
}

// bulkRevoke lists the keys of a tenant or a principal, as `keys revoke` does
// with one of them, and revokes the first. The rest follows, over kills.
func (w *writer) bulkRevoke(ctx context.Context, v *victim) (write, error) {
	// One that has keys of late. The first keys have an owner who has too many.
	last := w.alive[max(0, len(w.alive)-1-w.rand.IntN(16))].shown
	q := &adminv1.ListKeysRequest{Tenant: last.GetTenant(), Principal: last.GetPrincipal()}
	w.bulk = "bulk revoke by tenant"
	if q.GetPrincipal() != "" {
		w.bulk = "bulk revoke by principal"
	}
	if strings.HasSuffix(q.GetTenant()+q.GetPrincipal(), ":"+w.owner(owners)) {
		return w.batch(5, func() string { return w.owner(w.rand.IntN(owners)) }), nil
	}
	var listed, want []string
	err := v.list(ctx, q, func(k *adminv1.Key) {
		if k.GetStatus() != "revoked" {
			listed = append(listed, k.GetId())
		}
	})
	if err != nil {
		return nil, fmt.Errorf("listing the keys of %v: %w", q, err)
	}
	for _, k := range w.alive {
		if k.shown.GetTenant() == q.GetTenant() && k.shown.GetPrincipal() == q.GetPrincipal() {
			want = append(want, k.shown.GetId())
		}
	}
	if slices.Sort(want); !slices.Equal(listed, want) {
		return nil, fmt.Errorf("LOST: the live keys of %v are %v and should be %v", q, listed, want)
	}
	for _, id := range listed {
		w.queue = append(w.queue, w.byID[id])
	}
	k := w.queue[0]
	w.queue = w.queue[1:]
	return w.revoke(w.bulk, k), nil
}
