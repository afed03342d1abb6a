package admin

import (
	"context"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// getKey shows a key, and with reveal its token where its type's keys are public.
func (s *Server) getKey(_ context.Context, caller Caller, r *adminv1.GetKeyRequest) (*adminv1.GetKeyResponse, error) {
	l, found, err := s.find(caller, r.GetId(), nil)
	if err != nil {
		return nil, err
	}
	if err := l.Permit(caller, "show", found); err != nil {
		return nil, err
	}
	response := &adminv1.GetKeyResponse{Key: l.shown(found)}
	if _, last, err := lastUses(s.tally, []*key.Record{found}); err == nil { // without it the key is shown all the same
		response.Key.LastUsedAt = timestamp(last[0])
	}
	if !r.GetReveal() {
		return response, nil
	}
	if err := l.Permit(caller, "reveal", found); err != nil {
		return nil, err
	}
	p, t, err := l.typeOf(found)
	if err != nil {
		return nil, err
	}
	// Whoever is shown a token has it, as by rotating the key.
	if err := operatorsOwn(caller, "reveal", found); err != nil {
		return nil, err
	}
	if err := l.outranked(p, t, found, caller); t.Ceiling && err != nil {
		return nil, err
	}
	if !t.Revealable {
		return nil, unfit("keys of the type %s are shown once, when they are made: rotate or replace the key if its token is lost", t.Name)
	}
	token, kept, err := s.ledger.RevealedToken(found.ID)
	if err != nil {
		return nil, err
	}
	// The token of a key that was changed meanwhile is not that of this one.
	if !kept || token.Digest() != found.Current().Digest {
		return nil, unfit("the token of %s was not kept, because the key is revoked, was imported by digest or was made before its type's keys were public, or has just been rotated: ask again, or rotate it", found.ID)
	}
	s.log.Info("a token was shown again", "key", found.ID, "policy", found.Policy, "operator", caller.Operator, "acting", caller.Acting)
	response.Key.Token = token.Reveal()
	return response, nil
}
