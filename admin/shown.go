package admin

import (
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/storage"
)

// shown is a key as people see it, without its token.
func (w World) shown(r *key.Record) *adminv1.Key {
	current := r.Current()
	k := &adminv1.Key{
		Id: r.ID, Policy: r.Policy, Type: r.Type, Environment: r.Environment,
		Status: string(r.Status(w.Now)), Prefix: current.Prefix, Last4: current.Last4,
		Tenant: r.Tenant, Principal: r.Principal, Creator: r.Creator,
		Role: r.Role, Scopes: r.Scopes, Name: r.Name, Description: r.Description,
		CreatedAt: timestamp(r.Created), ExpiresAt: timestamp(r.Expires), RevokedAt: timestamp(r.Revoked),
		System: r.System, Revision: r.Revision,
	}
	if p, t, err := w.typeOf(r); err == nil {
		k.Scopes = scopesOf(p, t, r)
	}
	if old, ok := r.Retiring(w.Now); ok && r.Revoked.IsZero() {
		k.Retiring = &adminv1.RetiringSecret{Prefix: old.Prefix, Last4: old.Last4, Until: timestamp(old.Until)}
	}
	return k
}

// scopesOf returns the scopes that a key was given, before its ceiling, by
// name: those of its type or its role, or those that were chosen, without what
// they imply.
func scopesOf(p *policy.Policy, t *policy.KeyType, r *key.Record) []string {
	if t.Grant == policy.Chosen {
		return slices.Clone(r.Scopes)
	}
	return p.ScopeNames(p.Granted(t, r.Facts()))
}

func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func position(p storage.Position) *adminv1.Position {
	return &adminv1.Position{Epoch: p.Epoch, Revision: p.Revision, Digest: p.Digest.String()}
}
