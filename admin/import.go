package admin

import (
	"context"
	"errors"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/storage"
)

// maxImport is the most keys in one request. Each request is one write, and a
// large one is cheaper for each of its keys than several small ones.
const maxImport = 10_000

// importKeys takes over keys that were minted elsewhere, all or none. It is
// the operator's alone.
func (s *Server) importKeys(ctx context.Context, caller Caller, r *adminv1.ImportKeysRequest) (*adminv1.ImportKeysResponse, error) {
	keys := r.GetKeys()
	if len(keys) == 0 || len(keys) > maxImport {
		return nil, invalid("keys: %d are given: give 1 to %d at a time", len(keys), maxImport)
	}
	s.world.RLock()
	defer s.world.RUnlock()
	var response *adminv1.ImportKeysResponse
	err := again(ctx, func() error {
		l, there, err := s.lookForImport(keys)
		if err != nil {
			return err
		}
		b := batch{World: l.World, there: there, resume: r.GetResume(), seen: map[key.Digest]int{}, ids: map[string]int{}}
		for i, k := range keys {
			b.add(i, k)
		}
		response = &adminv1.ImportKeysResponse{Mistakes: b.mistakes, Position: position(l.at)}
		if len(b.mistakes) > 0 {
			return nil
		}
		at := l.at
		if !r.GetDryRun() && len(b.write.Keys) > 0 {
			b.write.Operator, b.write.Acting, b.write.Action = caller.Operator, caller.Acting, "keys.import"
			if at, err = s.ledger.Commit(ctx, b.write); err != nil {
				return err
			}
		}
		response.Position = position(at)
		response.Imported, response.Present = uint32(len(b.write.Keys)), uint32(b.present)
		for _, made := range b.write.Keys {
			if r.GetOmitKeys() {
				break
			}
			k := l.shown(made)
			if k.Revision = at.Revision; r.GetDryRun() {
				k.Revision = 0
				if b.fresh[made.ID] {
					k.Id = "" // there is no such key
				}
			}
			response.Keys = append(response.Keys, k)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// present is what the store has of the keys of an import.
type present struct {
	digests map[key.Digest]string // id of the key that has it
	keys    map[string]*key.Record
}

// lookForImport looks up owners and creators, and which tokens and ids the store has.
func (s *Server) lookForImport(keys []*adminv1.ImportKey) (*lookup, *present, error) {
	digests := make([][]key.Digest, len(keys)) // taken before, so that the view is short
	for i, k := range keys {
		digests[i] = digestsOf(k)
	}
	there := &present{digests: map[key.Digest]string{}, keys: map[string]*key.Record{}}
	var f key.Facts
	var unread error
	find := func(v *storage.View, id string) {
		r, err := v.Key(id)
		if r != nil {
			there.keys[id] = r
		}
		if err != nil {
			unread = err
		}
	}
	l, err := s.look(func(v *storage.View, l *lookup) {
		for i, k := range keys {
			for _, d := range digests[i] {
				if v.Lookup(d, &f) {
					there.digests[d] = f.ID.String()
					find(v, f.ID.String())
				}
			}
			if keyID.MatchString(k.GetId()) {
				find(v, k.GetId())
			}
			l.book.tenant(v, k.GetKey().GetTenant())
			l.book.principal(v, k.GetKey().GetPrincipal(), k.GetCreator())
		}
	})
	if err = errors.Join(err, unread); err != nil {
		return nil, nil, err
	}
	for _, id := range there.digests {
		if there.keys[id] == nil {
			if err := s.ledger.Missing(id); err != nil {
				return nil, nil, err
			}
			return nil, nil, key.ErrConflict // it was being written
		}
	}
	return l, there, nil
}

// digestsOf returns the digests of a key's tokens that can be read, the current one first.
func digestsOf(k *adminv1.ImportKey) (all []key.Digest) {
	if d, err := digestOf(k); err == nil {
		all = append(all, d)
	}
	for _, s := range k.GetFormerSecrets() {
		if d, err := key.ParseDigest(s.GetTokenSha256()); err == nil {
			all = append(all, d)
		}
	}
	return all
}

func digestOf(k *adminv1.ImportKey) (key.Digest, error) {
	if k.GetToken() != "" {
		return key.NewToken(k.GetToken()).Digest(), nil
	}
	return key.ParseDigest(k.GetTokenSha256())
}
