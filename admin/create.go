package admin

import (
	"context"
	"crypto/rand"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/key/mint"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/storage"
)

// createKey mints a key. The answer has its token, which nobody sees again.
func (s *Server) createKey(ctx context.Context, caller Caller, r *adminv1.CreateKeyRequest) (*adminv1.CreateKeyResponse, error) {
	f := r.GetKey()
	if f == nil {
		return nil, invalid("key: it is missing: say at least its policy, type and owner")
	}
	s.world.RLock()
	defer s.world.RUnlock()
	var response *adminv1.CreateKeyResponse
	err := again(ctx, func() error {
		l, err := s.look(func(v *storage.View, l *lookup) {
			l.book.tenant(v, f.GetTenant())
			l.book.principal(v, f.GetPrincipal(), caller.Acting)
		})
		if err != nil {
			return err
		}
		draft, format, err := l.Draft(caller, f)
		if err != nil {
			return err
		}
		token, err := mint.Token(format, rand.Reader)
		if err != nil {
			return err
		}
		made := key.Issue(*draft, secret(format, token), l.Now)
		response = &adminv1.CreateKeyResponse{Key: l.shown(made), Position: position(l.at)}
		if r.GetDryRun() {
			response.Key.Id, response.Key.Last4 = "", "" // there is no such key
			return nil
		}
		write := storage.Change{Operator: caller.Operator, Acting: caller.Acting, Action: "keys.create", Keys: []*key.Record{made}}
		if l.Policies.Policy(made.Policy).Type(made.Type).Revealable {
			write.Reveal = map[string]key.Token{made.ID: token}
		}
		at, err := s.ledger.Commit(ctx, write)
		if err != nil {
			return err
		}
		response.Key.Token, response.Key.Revision, response.Position = token.Reveal(), at.Revision, position(at)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// secret is what is kept of a token.
func secret(f key.Format, token key.Token) key.Secret {
	return key.Secret{Digest: token.Digest(), Prefix: f.Prefix, Last4: token.Last4()}
}
