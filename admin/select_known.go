package admin

import (
	"fmt"
	"slices"
	"strings"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/storage"
)

// shownNames is how many names a message lists, where none is near to the one that is wrong.
const shownNames = 10

// criterion is one name of a selection.
type criterion struct {
	known bool                  // to the policies in use or the directory
	has   func(*key.Facts) bool // whether a key has it
	wrong func() error          // says that nobody knows it
}

// checkKnown returns ErrAbsent where a selection names what neither the policies in use nor the directory know, and no key
// has: whoever mistypes a tenant in an incident must not take it for one whose keys are all revoked. What was removed is
// known as long as keys hang on it. It is asked before the first page: whoever has a page token was told already.
func (s *Server) checkKnown(caller Caller, sel *adminv1.KeySelection, pageToken string) error {
	if pageToken != "" {
		return nil
	}
	var all []criterion
	l, err := s.look(func(v *storage.View, l *lookup) {
		l.book.principal(v, caller.Acting)
		l.book.tenant(v, sel.GetTenant())
		l.book.principal(v, sel.GetPrincipal(), sel.GetCreator())
	})
	if err != nil {
		return err
	}
	if err := l.acting(caller); err != nil {
		return err
	}
	if sel.GetPolicy() != "" {
		all = append(all, l.policyCriterion(sel.GetPolicy()))
	}
	if sel.GetType() != "" {
		all = append(all, l.policyPart("type", "key type", sel.GetPolicy(), sel.GetType(), (*policy.Policy).Types, func(f *key.Facts) string { return f.Type }))
	}
	if sel.GetEnvironment() != "" {
		all = append(all, l.policyPart("environment", "environment", sel.GetPolicy(), sel.GetEnvironment(), (*policy.Policy).Environments, func(f *key.Facts) string { return f.Environment }))
	}
	for _, one := range []struct {
		field, name, none string
		tenant            bool
		of                func(*key.Facts) string
	}{
		{"tenant", sel.GetTenant(), "no key belongs to it", true, func(f *key.Facts) string { return f.Tenant }},
		{"principal", sel.GetPrincipal(), "no key belongs to it", false, func(f *key.Facts) string { return f.Principal }},
		{"creator", sel.GetCreator(), "it made no key", false, func(f *key.Facts) string { return f.Creator }},
	} {
		if one.name == "" {
			continue
		}
		_, known := l.book.principals[one.name]
		if one.tenant {
			_, known = l.book.tenants[one.name]
		}
		all = append(all, criterion{known, func(f *key.Facts) bool { return one.of(f) == one.name }, func() error {
			remedy := "correct the name"
			// Whose principal asks isn't told the names of others.
			if caller.Acting == "" {
				remedy = instead(one.name, s.directoryNames(one.tenant), "see `latchkey directory get`")
			}
			return absent("%s: %s isn't in the directory, and %s: %s", one.field, l.quote(one.name), one.none, remedy)
		}})
	}
	return s.unknown(all).err()
}

// policyCriterion is the name of a policy.
func (w World) policyCriterion(name string) criterion {
	return criterion{w.Policies.Policy(name) != nil, func(f *key.Facts) bool { return f.Policy == name }, func() error {
		return absent("policy: %s is not in use, and no key belongs to it: %s", w.quote(name), instead(name, w.Policies.names(), "apply one first"))
	}}
}

// policyPart is the name of something that policies declare and keys have: of one policy, or of any.
func (w World) policyPart(field, what, of, name string, declared func(*policy.Policy) []string, has func(*key.Facts) string) criterion {
	var names []string
	for _, p := range w.Policies.names() {
		if of == "" || of == p {
			names = append(names, declared(w.Policies.Policy(p))...)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	who := "no policy in use has the"
	switch {
	case of != "" && w.Policies.Policy(of) == nil:
		who = fmt.Sprintf("the policy %s is not in use to say what is its", w.quote(of))
	case of != "":
		who = fmt.Sprintf("the policy %s has no", w.quote(of))
	}
	return criterion{slices.Contains(names, name), func(f *key.Facts) bool { return (of == "" || f.Policy == of) && has(f) == name }, func() error {
		return absent("%s: %s %s %s, and no key has it: %s", field, who, what, w.quote(name), instead(name, names, "leave it out"))
	}}
}

// unknown returns what is wrong with those that are neither known nor those of any key.
func (s *Server) unknown(all []criterion) (wrong mistakes) {
	all = slices.DeleteFunc(all, func(c criterion) bool { return c.known })
	if len(all) == 0 {
		return nil
	}
	s.ledger.Facts(func(f *key.Facts) bool {
		all = slices.DeleteFunc(all, func(c criterion) bool { return c.has(f) })
		return len(all) > 0
	})
	for _, c := range all {
		wrong.add(c.wrong())
	}
	return wrong
}

// directoryNames returns the names of all tenants, or of all principals.
func (s *Server) directoryNames(ofTenants bool) (names []string) {
	tenants, principals, _ := s.ledger.Directory()
	if ofTenants {
		for _, t := range tenants {
			names = append(names, t.ID)
		}
		return names
	}
	for _, p := range principals {
		names = append(names, p.ID)
	}
	return names
}

// instead is a remedy for a name that is none of those that there are and can't be declared for the asking: the one that
// it was probably meant to be, all of them where they are few, or what to do otherwise.
func instead(name string, known []string, otherwise string) string {
	if !looksSecret(name) || strings.Contains(name, ":") {
		if near := policy.Near(name, known); near != "" {
			return fmt.Sprintf("did you mean %q?", near)
		}
	}
	if len(known) == 0 || len(known) > shownNames {
		return otherwise
	}
	return "name one of " + strings.Join(known, ", ")
}
