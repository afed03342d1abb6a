package admin

import (
	"context"
	"time"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/storage"
)

// updateKey changes what may change of a key.
func (s *Server) updateKey(ctx context.Context, caller Caller, r *adminv1.UpdateKeyRequest) (*adminv1.UpdateKeyResponse, error) {
	out, err := s.change(ctx, caller, updating(caller, r))
	if err != nil {
		return nil, err
	}
	return &adminv1.UpdateKeyResponse{Key: out.shown(out.next), Position: position(out.at)}, nil
}

func updating(caller Caller, r *adminv1.UpdateKeyRequest) change {
	return change{
		action: "update", id: r.GetId(), dryRun: r.GetDryRun(),
		look: func(v *storage.View, l *lookup) { l.book.principal(v, r.GetCreator()) },
		decide: func(l *lookup, old *key.Record) (transition, error) {
			next, err := l.update(caller, old, r)
			return transition{next: next}, err
		},
	}
}

// update returns the changed key, or everything that is wrong with the change.
func (w World) update(caller Caller, old *key.Record, r *adminv1.UpdateKeyRequest) (*key.Record, error) {
	if err := operatorsOwn(caller, "update", old); err != nil {
		return nil, err
	}
	if !old.Revoked.IsZero() {
		return nil, key.ErrRevoked
	}
	p, t, err := w.typeOf(old)
	if err != nil {
		return nil, err
	}
	u := key.Update{Name: r.Name, Description: r.Description, Creator: r.Creator, Role: r.Role}
	var wrong mistakes
	w.words(&wrong, "name", r.GetName(), maxName)
	w.words(&wrong, "description", r.GetDescription(), maxDescription)
	if r.Role != nil {
		wrong.add(w.role(p, t, r.GetRole()))
	}
	if r.Scopes != nil {
		wrong.add(w.chosen(p, t, r.GetScopes().GetScopes()))
		scopes := sorted(r.GetScopes().GetScopes())
		u.Scopes = &scopes
	}
	u.Expires, err = w.newExpiry(t, old, r)
	wrong.add(err)
	if r.Creator != nil {
		wrong.add(w.handover(caller, t, r.GetCreator()))
	}
	if wrong != nil {
		return nil, wrong.err()
	}
	next, err := old.Update(u)
	if err != nil {
		return nil, err
	}
	wrong.add(required(t, next))
	// What is added, or all when another answers for it, must be held by the
	// one who answers, so that nothing is cut in silence, and by the caller,
	// so that nobody hands out more than he has.
	before := p.Granted(t, old.Facts())
	if next.Creator != old.Creator {
		before = policy.Set{}
	}
	wrong.add(w.bounded(p, t, next, before, "its creator", next.Creator))
	if caller.Acting != next.Creator {
		wrong.add(w.bounded(p, t, next, before, "the caller", caller.Acting))
	}
	if next.Creator != old.Creator {
		// Endpoints ask a key's creator for permissions beside the scopes: nobody
		// hands a key to somebody through whom it could do more than he could.
		wrong.add(w.outranked(p, t, next, caller))
	}
	if wrong != nil {
		return nil, wrong.err()
	}
	return next, nil
}

// newExpiry returns the expiry that a key shall have from now on: nil for the
// one it has, the zero time for never.
func (w World) newExpiry(t *policy.KeyType, old *key.Record, r *adminv1.UpdateKeyRequest) (*time.Time, error) {
	given := r.ExpiresAt != nil || r.ExpiresIn != nil
	switch {
	case given && r.GetNeverExpires():
		return nil, invalid("never_expires: an expiry is given too: give one of them")
	case !given && !r.GetNeverExpires():
		return nil, nil
	}
	expires, err := w.expiry(r.ExpiresAt, r.ExpiresIn)
	if err == nil {
		err = w.lifetime(t, old.Created, expires)
	}
	return &expires, err
}

// handover checks who shall answer for a key from now on.
func (w World) handover(caller Caller, t *policy.KeyType, creator string) error {
	if creator != "" {
		return w.activePrincipal("the new creator", creator)
	}
	switch {
	case t.CreatorRequired:
		return invalid("creator: keys of the type %s have one: name a principal", t.Name)
	case caller.Acting != "":
		return refused("creator: only the operator takes a key over, which lifts its ceiling: name a principal, or leave out as (--as)")
	}
	return nil
}
