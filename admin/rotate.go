package admin

import (
	"context"
	"crypto/rand"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/key/mint"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// rotateKey gives a key a new secret. The answer has the token, which nobody
// sees again.
func (s *Server) rotateKey(ctx context.Context, caller Caller, r *adminv1.RotateKeyRequest) (*adminv1.RotateKeyResponse, error) {
	out, err := s.change(ctx, caller, change{
		action: "rotate", id: r.GetId(), dryRun: r.GetDryRun(),
		decide: func(l *lookup, old *key.Record) (transition, error) {
			if err := operatorsOwn(caller, "rotate", old); err != nil {
				return transition{}, err
			}
			p, t, err := l.typeOf(old)
			if err != nil {
				return transition{}, err
			}
			if !t.RotatesInPlace {
				return transition{}, unfit("keys of the type %s aren't rotated: create another one, move over, then revoke %s", t.Name, old.ID)
			}
			// Whoever rotates a key gets its token.
			if err := l.outranked(p, t, old, caller); t.Ceiling && err != nil {
				return transition{}, err
			}
			overlap, err := grace(t, r.GetGrace())
			if err != nil {
				return transition{}, err
			}
			format, ok := t.Format(old.Environment)
			if !ok {
				return transition{}, unfit("the policy %s has no environment %q any more: put it back, or revoke the key", old.Policy, old.Environment)
			}
			token, err := mint.Token(format, rand.Reader)
			if err != nil {
				return transition{}, err
			}
			next, err := old.Rotate(secret(format, token), overlap, l.Now)
			return transition{next: next, token: &token, reveal: t.Revealable}, err
		},
	})
	if err != nil {
		return nil, err
	}
	response := &adminv1.RotateKeyResponse{Key: out.shown(out.next), Position: position(out.at)}
	if r.GetDryRun() {
		response.Key.Last4 = "" // of a token that nobody gets
	} else {
		response.Key.Token = out.token.Reveal()
	}
	return response, nil
}
