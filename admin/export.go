package admin

import (
	"context"
	"encoding/hex"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// exportKeys returns a page of keys as importKeys takes them: with the digests
// of their tokens, so it is the operator's alone.
func (s *Server) exportKeys(ctx context.Context, caller Caller, r *adminv1.ExportKeysRequest) (*adminv1.ExportKeysResponse, error) {
	var wrong mistakes
	if checkSelection(&wrong, r.GetSelection(), r.GetPageSize(), maxImport, r.GetPageToken()); wrong != nil {
		return nil, wrong.err()
	}
	if err := s.checkKnown(caller, r.GetSelection(), r.GetPageToken()); err != nil {
		return nil, err
	}
	l, err := s.look(nil)
	if err != nil {
		return nil, err
	}
	keys, next, err := s.selected(ctx, l.World, r.GetSelection(), r.GetPageToken(), pageOf(r.GetPageSize()), func(*key.Record) bool { return true })
	if err != nil {
		return nil, err
	}
	response := &adminv1.ExportKeysResponse{NextPageToken: next, Position: position(l.at)}
	for _, k := range keys {
		response.Keys = append(response.Keys, exported(k))
		kept, err := s.keepsToken(l.World, k)
		if err != nil {
			return nil, err
		}
		if kept {
			response.KeptTokens++
		}
	}
	return response, nil
}

// keepsToken reports whether a key can be shown again.
func (s *Server) keepsToken(w World, r *key.Record) (bool, error) {
	if _, t, err := w.typeOf(r); err != nil || !t.Revealable || !r.Revoked.IsZero() {
		return false, nil
	}
	_, kept, err := s.ledger.RevealedToken(r.ID)
	return kept, err
}

// exported is a key with all that is kept of it but its revision, which is that
// of this store.
func exported(r *key.Record) *adminv1.ImportKey {
	current := r.Current()
	k := &adminv1.ImportKey{
		Id: r.ID, Creator: r.Creator, Disabled: r.Disabled,
		Key: &adminv1.KeyFields{
			Policy: r.Policy, Type: r.Type, Environment: r.Environment, Tenant: r.Tenant, Principal: r.Principal,
			Role: r.Role, Scopes: r.Scopes, Name: r.Name, Description: r.Description,
			ExpiresAt: timestamp(r.Expires), System: r.System,
		},
		CreatedAt: timestamp(r.Created), RevokedAt: timestamp(r.Revoked),
		TokenSha256: hex.EncodeToString(current.Digest[:]), Prefix: current.Prefix, Last4: current.Last4,
	}
	if !current.Created.Equal(r.Created) {
		k.RotatedAt = timestamp(current.Created)
	}
	for _, s := range r.Secrets[:len(r.Secrets)-1] {
		k.FormerSecrets = append(k.FormerSecrets, &adminv1.FormerSecret{
			TokenSha256: hex.EncodeToString(s.Digest[:]), Prefix: s.Prefix, Last4: s.Last4,
			CreatedAt: timestamp(s.Created), Until: timestamp(s.Until),
		})
	}
	return k
}
