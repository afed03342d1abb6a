package admin

import (
	"context"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/storage"
)

const maxImport = 1000 // keys in one request

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
		l, known, err := s.lookForImport(keys)
		if err != nil {
			return err
		}
		b := batch{World: l.World, known: known, seen: map[key.Digest]int{}}
		for i, k := range keys {
			b.add(i, k)
		}
		response = &adminv1.ImportKeysResponse{Mistakes: b.mistakes, Position: position(l.at)}
		if len(b.mistakes) > 0 {
			return nil
		}
		at := l.at
		if !r.GetDryRun() {
			b.write.Operator, b.write.Acting, b.write.Action = caller.Operator, caller.Acting, "keys.import"
			if at, err = s.ledger.Commit(ctx, b.write); err != nil {
				return err
			}
		}
		response.Position = position(at)
		for _, made := range b.write.Keys {
			k := l.shown(made)
			if k.Revision = at.Revision; r.GetDryRun() {
				k.Id, k.Revision = "", 0
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

// lookForImport looks up owners and creators, and which tokens the store knows.
func (s *Server) lookForImport(keys []*adminv1.ImportKey) (*lookup, map[key.Digest]bool, error) {
	digests := make([]key.Digest, len(keys)) // taken before, so that the view is short
	for i, k := range keys {
		digests[i], _ = digestOf(k)
	}
	known := map[key.Digest]bool{}
	var f key.Facts
	l, err := s.look(func(v *storage.View, l *lookup) {
		for i, k := range keys {
			known[digests[i]] = v.Lookup(digests[i], &f)
			l.book.tenant(v, k.GetKey().GetTenant())
			l.book.principal(v, k.GetKey().GetPrincipal(), k.GetCreator())
		}
	})
	return l, known, err
}

func digestOf(k *adminv1.ImportKey) (key.Digest, error) {
	if k.GetToken() != "" {
		return key.NewToken(k.GetToken()).Digest(), nil
	}
	return key.ParseDigest(k.GetTokenSha256())
}

// batch is an import: what is to be written, and what is wrong.
type batch struct {
	World
	known    map[key.Digest]bool // in the store
	seen     map[key.Digest]int  // in the batch, at which index
	write    storage.Change
	mistakes []*adminv1.ImportMistake
}

// add checks one key, and adds it or what is wrong with it.
func (b *batch) add(index int, k *adminv1.ImportKey) {
	d := b.draft(k.GetCreator(), k.GetKey())
	who := k.GetCreator()
	if _, ok := b.Directory.Principal(who); !ok && who != "" {
		d.wrong.invalid("creator: %s isn't in the directory: apply it first, or correct the name", b.quote(who))
	}
	s, err := b.secret(d, k)
	d.wrong.add(err)
	if err == nil {
		switch first, twice := b.seen[s.Digest]; {
		case twice:
			d.wrong.invalid("token: it is that of the key at index %d too: take one out", first)
		case b.known[s.Digest]:
			d.wrong.invalid("token: %s: take it out", key.ErrDuplicate)
		default:
			b.seen[s.Digest] = index
		}
	}
	if d.wrong != nil {
		for _, err := range d.wrong {
			b.mistakes = append(b.mistakes, &adminv1.ImportMistake{Index: uint32(index), Message: b.scrub(err.Error())})
		}
		return
	}
	made := key.Issue(*d.record, s, b.Now)
	b.write.Keys = append(b.write.Keys, made)
	if d.keyType.Revealable && k.GetToken() != "" {
		if b.write.Reveal == nil {
			b.write.Reveal = map[string]key.Token{}
		}
		b.write.Reveal[made.ID] = key.NewToken(k.GetToken())
	}
}

// secret checks a token, or takes a digest for what it is said to be.
func (b *batch) secret(d *drafted, k *adminv1.ImportKey) (key.Secret, error) {
	switch {
	case (k.GetToken() == "") == (k.GetTokenSha256() == ""):
		return key.Secret{}, invalid("token, token_sha256: give exactly one of them")
	case k.GetTokenSha256() != "":
		digest, err := digestOf(k)
		if err != nil {
			return key.Secret{}, invalid("token_sha256: %s: give the SHA-256 of the whole token", err)
		}
		s := key.Secret{Digest: digest}
		// With one form there is one prefix. With several it isn't known.
		if forms := b.forms(d); len(forms) == 1 {
			s.Prefix = forms[0].Prefix
		}
		return s, nil
	}
	token := key.NewToken(k.GetToken())
	if d.format.SecretLength == 0 { // type or environment are wrong, which is noted
		return key.Secret{Digest: token.Digest()}, nil
	}
	for _, format := range b.forms(d) {
		if format.Matches(token.Reveal()) {
			if format.SecretLength < key.MinImportLength {
				return key.Secret{}, invalid("token: its secret has %d characters and could be guessed, at least %d are needed: make a new key", format.SecretLength, key.MinImportLength)
			}
			return secret(format, token), nil
		}
	}
	if _, environment, ok := d.policy.FormatOf(d.keyType, token); ok {
		return key.Secret{}, invalid("token: it is one of the environment %s, and the key isn't: correct the environment", environment)
	}
	return key.Secret{}, invalid("token: it has no form of the type %s, or a wrong checksum: correct the type, or declare its form under former_formats", d.keyType.Name)
}

// forms returns the forms that the token of a key may have.
func (b *batch) forms(d *drafted) []key.Format {
	if d.format.SecretLength == 0 {
		return nil
	}
	return d.policy.Formats(d.keyType.Name, d.record.Environment)
}
