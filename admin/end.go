package admin

import (
	"context"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// operatorsOwn refuses whoever isn't the operator a system key.
func operatorsOwn(caller Caller, action string, r *key.Record) error {
	if r.System && caller.Acting != "" {
		return refused("%s is a system key, and only the operator may %s it: leave out as (--as)", r.ID, action)
	}
	return nil
}

// revokeKey ends a key. A revoked one stays as it is.
func (s *Server) revokeKey(ctx context.Context, caller Caller, r *adminv1.RevokeKeyRequest) (*adminv1.RevokeKeyResponse, error) {
	out, err := s.change(ctx, caller, revoking(caller, r))
	if err != nil {
		return nil, err
	}
	return &adminv1.RevokeKeyResponse{Key: out.shown(out.next), Position: position(out.at)}, nil
}

func revoking(caller Caller, r *adminv1.RevokeKeyRequest) change {
	return change{
		action: "revoke", id: r.GetId(), note: r.GetNote(), dryRun: r.GetDryRun(),
		decide: func(l *lookup, old *key.Record) (transition, error) {
			var wrong mistakes
			if l.words(&wrong, "note", r.GetNote(), maxDescription); wrong != nil {
				return transition{}, wrong.err()
			}
			if err := operatorsOwn(caller, "revoke", old); err != nil {
				return transition{}, err
			}
			if old.System && !r.GetSystem() {
				return transition{}, refused("%s is a system key: say so (--system) to revoke it", old.ID)
			}
			return transition{next: old.Revoke(l.Now)}, nil
		},
	}
}

// disableKey switches a key off for now.
func (s *Server) disableKey(ctx context.Context, caller Caller, r *adminv1.DisableKeyRequest) (*adminv1.DisableKeyResponse, error) {
	out, err := s.change(ctx, caller, switching(caller, "disable", r.GetId(), r.GetDryRun(), (*key.Record).Disable))
	if err != nil {
		return nil, err
	}
	return &adminv1.DisableKeyResponse{Key: out.shown(out.next), Position: position(out.at)}, nil
}

// enableKey switches a disabled key on.
func (s *Server) enableKey(ctx context.Context, caller Caller, r *adminv1.EnableKeyRequest) (*adminv1.EnableKeyResponse, error) {
	out, err := s.change(ctx, caller, switching(caller, "enable", r.GetId(), r.GetDryRun(), (*key.Record).Enable))
	if err != nil {
		return nil, err
	}
	return &adminv1.EnableKeyResponse{Key: out.shown(out.next), Position: position(out.at)}, nil
}

// switching does to a key what the action says, by a transition that needs
// nothing but the key.
func switching(caller Caller, action, id string, dryRun bool, to func(*key.Record) (*key.Record, error)) change {
	return change{
		action: action, id: id, dryRun: dryRun,
		decide: func(_ *lookup, old *key.Record) (transition, error) {
			if err := operatorsOwn(caller, action, old); err != nil {
				return transition{}, err
			}
			next, err := to(old)
			return transition{next: next}, err
		},
	}
}
