package admin

import (
	"fmt"
	"strings"
	"time"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
	"github.com/latchkey/latchkey/storage"
)

// World is what an operation decides by: the policies and the directory of one
// revision, and the time.
type World struct {
	Policies  *Compiled
	Directory directory.Reader
	Now       time.Time
}

// lookup is a World of a store, and where in its history it is.
type lookup struct {
	World
	at   storage.Position
	book book
}

// look takes from one revision of the store what f asks for. Only that is in
// the lookup's directory: what was not asked for isn't there, which refuses.
func (s *Server) look(f func(v *storage.View, l *lookup)) (*lookup, error) {
	l := &lookup{book: book{map[string]*directory.Tenant{}, map[string]*directory.Principal{}}}
	var policies any
	s.ledger.View(func(v *storage.View) {
		policies, l.at = v.Policies(), v.Position()
		// A clock behind the newest write is wrong: what was written is over.
		if l.Now = s.now(); l.Now.Before(v.Latest()) {
			l.Now = v.Latest()
		}
		if f != nil {
			f(v, l)
		}
	})
	l.Directory = l.book
	switch p := policies.(type) {
	case *Compiled:
		l.Policies = p
	case nil:
		l.Policies = &Compiled{}
	default:
		return nil, fmt.Errorf("the store holds policies as %T, which admin.Compiler didn't compile", p)
	}
	return l, nil
}

// book is the part of a directory that an operation looks at.
type book struct {
	tenants    map[string]*directory.Tenant
	principals map[string]*directory.Principal
}

// Tenant implements directory.Reader.
func (b book) Tenant(id string) (directory.Tenant, bool) {
	return directory.Maps{Tenants: b.tenants, Principals: b.principals}.Tenant(id)
}

// Principal implements directory.Reader.
func (b book) Principal(id string) (directory.Person, bool) {
	return directory.Maps{Tenants: b.tenants, Principals: b.principals}.Principal(id)
}

// tenant takes over a tenant and its ancestors.
func (b book) tenant(v directory.Reader, id string) {
	for range directory.MaxDepth + 1 {
		t, ok := v.Tenant(id)
		if !ok {
			return
		}
		b.tenants[id] = &t
		id = t.Parent
	}
}

// principal takes over principals.
func (b book) principal(v directory.Reader, ids ...string) {
	for _, id := range ids {
		if p, ok := v.Principal(id); ok {
			b.principals[id] = p.Principal()
		}
	}
}

// around takes over whom a key belongs to and who made it.
func (b book) around(v directory.Reader, r *key.Record) {
	b.tenant(v, r.Tenant)
	b.principal(v, r.Principal, r.Creator)
}

// typeOf returns the policy and the type of a key, or an error that says which
// of them is gone.
func (w World) typeOf(r *key.Record) (*policy.Policy, *policy.KeyType, error) {
	p := w.Policies.Policy(r.Policy)
	if p == nil {
		return nil, nil, unfit("the policy %q of this key is not in use: apply it first", r.Policy)
	}
	t := p.Type(r.Type)
	if t == nil {
		return nil, nil, unfit("the policy %q has no key type %q any more: put it back, or revoke the key", r.Policy, r.Type)
	}
	return p, t, nil
}

// token reports whether text is, or holds, what could be a token of any policy
// in use. People paste tokens into wrong fields.
func (w World) token(text string) bool {
	if w.Policies == nil || len(text) < key.MinImportLength {
		return false
	}
	for _, word := range words(text) {
		for _, one := range w.Policies.one {
			if one.policy.HoldsToken(word) {
				return true
			}
		}
	}
	return false
}

// looksSecret reports whether text is as long and as mixed as a token, also one
// of a policy that isn't in use, or a part of one. Of long secrets one in some
// hundred has no digit: those are known by the prefix before them.
func looksSecret(text string) bool {
	for _, word := range words(text) {
		if strings.ToLower(word) == word || strings.ToUpper(word) == word {
			continue
		}
		secret := word
		if !strings.ContainsAny(word, "0123456789") {
			at := strings.LastIndexByte(word, '_')
			if at < 0 {
				continue // a name, like as not
			}
			secret = word[at+1:]
		}
		if len(secret) >= key.MinImportLength {
			return true
		}
	}
	return false
}

// words returns what in a text could be a token.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r > 127 || !key.URLSafe.Holds(byte(r)) })
}

// quote returns text of a request for a message. What looks like a token isn't
// repeated, except within a name of the form kind:name, which may look alike.
func (w World) quote(text string) string {
	if !strings.Contains(text, ":") && looksSecret(text) {
		return key.Redacted
	}
	if len(text) > 64 {
		text = text[:64] + "…"
	}
	return fmt.Sprintf("%q", text)
}

// scrubLoose returns a message without what looks like a token, except within
// names of the form kind:name. It is for messages of others about what a
// request holds.
func (w World) scrubLoose(text string) string {
	for _, word := range words(text) {
		if looksSecret(word) && !strings.Contains(text, ":"+word) {
			text = strings.ReplaceAll(text, word, key.Redacted)
		}
	}
	return text
}

// scrub returns a message without the tokens that it may quote. It is asked
// last of all, so that it doesn't matter where the message comes from.
func (w World) scrub(text string) string {
	for _, word := range words(text) {
		if w.token(word) {
			text = strings.ReplaceAll(text, word, key.Redacted)
		}
	}
	return text
}
