package admin

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// Lengths of what people write about a key, in characters.
const (
	maxName        = 128
	maxDescription = 1024 // notes too
)

// Draft checks what is said of a key that the caller wants made, and returns
// the record that key.Issue takes, without id and secret, and the format that
// its token is minted from. It is pure. The error is everything that is wrong:
// with what was said (ErrInvalid), and with the caller (ErrRefused).
func (w World) Draft(caller Caller, f *adminv1.KeyFields) (*key.Record, key.Format, error) {
	if err := w.acting(caller); err != nil {
		return nil, key.Format{}, err
	}
	d := w.draft(caller.Acting, f)
	if d.keyType == nil {
		return nil, key.Format{}, d.wrong.err()
	}
	if d.keyType.CreatorRequired && caller.Acting == "" {
		d.wrong.add(refused("keys of the type %s are made on behalf of a principal: name it with as (--as)", d.keyType.Name))
	}
	if f.GetSystem() && caller.Acting != "" {
		d.wrong.add(refused("system keys are made by the operator alone: leave out as (--as)"))
	}
	if d.owned {
		d.wrong.add(w.Permit(caller, "create", d.record))
		d.wrong.add(w.bounded(d.policy, d.keyType, d.record, policy.Set{}, "the caller", caller.Acting))
	}
	return d.record, d.format, d.wrong.err()
}

// drafted is a key to be, and what is wrong with it.
type drafted struct {
	wrong   mistakes
	policy  *policy.Policy
	keyType *policy.KeyType // nil: nothing more could be checked
	owned   bool            // the owner is right, so that who may make it can be asked
	format  key.Format
	record  *key.Record
}

// draft checks the fields of a key that creator makes, whoever asks for it.
func (w World) draft(creator string, f *adminv1.KeyFields) *drafted {
	d := &drafted{record: &key.Record{
		Policy: f.GetPolicy(), Type: f.GetType(), Tenant: f.GetTenant(), Principal: f.GetPrincipal(), Creator: creator,
		Name: f.GetName(), Description: f.GetDescription(), System: f.GetSystem(),
	}}
	if d.policy = w.Policies.Policy(f.GetPolicy()); d.policy == nil {
		d.wrong.invalid("policy: %s is not in use: %s", w.quote(f.GetPolicy()), nearest(f.GetPolicy(), w.Policies.names()))
		return d
	}
	t := d.policy.Type(f.GetType())
	if t == nil {
		d.wrong.invalid("type: the policy %s has no key type %s: %s", d.policy.Name(), w.quote(f.GetType()), nearest(f.GetType(), d.policy.Types()))
		return d
	}
	d.keyType = t
	w.environment(d, f)
	w.owner(d, f)
	w.grants(d, f)
	w.words(&d.wrong, "name", f.GetName(), maxName)
	w.words(&d.wrong, "description", f.GetDescription(), maxDescription)
	expires, err := w.expiry(f.GetExpiresAt(), f.GetExpiresIn())
	d.wrong.add(err)
	d.record.Expires = expires
	if err == nil {
		d.wrong.add(w.lifetime(t, w.Now, expires))
	}
	d.wrong.add(required(t, d.record))
	if f.GetSystem() && !t.SystemKeys {
		d.wrong.invalid("system: the type %s has no system keys: leave it out, or declare system_keys in the policy", t.Name)
	}
	return d
}

func (w World) environment(d *drafted, f *adminv1.KeyFields) {
	environment, all := f.GetEnvironment(), d.policy.Environments()
	if environment == "" && len(all) == 1 {
		environment = all[0]
	}
	switch {
	case environment == "" && len(all) > 0:
		d.wrong.invalid("environment: the policy %s has several: name one of %s", d.policy.Name(), strings.Join(all, ", "))
		return
	case environment != "" && len(all) == 0:
		d.wrong.invalid("environment: the policy %s has none: leave it out", d.policy.Name())
		return
	case environment != "" && d.policy.Environment(environment) == nil:
		d.wrong.invalid("environment: the policy %s has no environment %s: %s", d.policy.Name(), w.quote(environment), nearest(environment, all))
		return
	}
	d.record.Environment = environment
	d.format, _ = d.keyType.Format(environment)
}

// owner checks that the key belongs to one owner of the right kind, who is
// there and active.
func (w World) owner(d *drafted, f *adminv1.KeyFields) {
	t, before := d.keyType, len(d.wrong)
	if t.Owner == "" {
		if f.GetTenant() != "" {
			d.wrong.invalid("tenant: keys of the type %s belong to a principal: leave the tenant out", t.Name)
		}
		switch who, ok := w.Directory.Principal(f.GetPrincipal()); {
		case f.GetPrincipal() == "":
			d.wrong.invalid("principal: keys of the type %s belong to a principal: name it (--principal)", t.Name)
		case !ok:
			d.wrong.invalid("principal: %s isn't in the directory: apply it first, or correct the name", w.quote(f.GetPrincipal()))
		case who.Suspended():
			d.wrong.add(unfit("principal: %s is suspended: apply it with the status active first", who.ID()))
		}
		d.owned = len(d.wrong) == before
		return
	}
	if f.GetPrincipal() != "" {
		d.wrong.invalid("principal: keys of the type %s belong to a tenant of the kind %s: leave the principal out", t.Name, t.Owner)
	}
	switch tenant, ok := w.Directory.Tenant(f.GetTenant()); {
	case f.GetTenant() == "":
		d.wrong.invalid("tenant: keys of the type %s belong to a tenant of the kind %s: name it (--tenant %s:…)", t.Name, t.Owner, t.Owner)
	case directory.Kind(f.GetTenant()) != t.Owner:
		d.wrong.invalid("tenant: keys of the type %s belong to a tenant of the kind %s, and %s is of another: name one as %s:…", t.Name, t.Owner, w.quote(f.GetTenant()), t.Owner)
	case !ok:
		d.wrong.invalid("tenant: %s isn't in the directory: apply it first, or correct the name", w.quote(f.GetTenant()))
	case !directory.Active(w.Directory, tenant.ID):
		d.wrong.add(unfit("tenant: %s or a parent of it is suspended: apply it with the status active first", tenant.ID))
	}
	d.owned = len(d.wrong) == before
}

// required checks the fields that a type asks for.
func required(t *policy.KeyType, r *key.Record) error {
	var missing []string
	for _, field := range t.Required {
		switch {
		case field == "name" && strings.TrimSpace(r.Name) == "",
			field == "description" && strings.TrimSpace(r.Description) == "",
			field == "expires" && r.Expires.IsZero():
			missing = append(missing, field)
		}
	}
	if missing == nil {
		return nil
	}
	return invalid("%s: keys of the type %s must have it: give it", strings.Join(missing, ", "), t.Name)
}

// words checks text that people write: printable, on one line, not too long,
// and no token.
func (w World) words(wrong *mistakes, field, text string, limit int) {
	switch {
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }):
		wrong.invalid("%s: it holds characters that can't be printed: write it on one line", field)
	case utf8.RuneCountInString(text) > limit:
		wrong.invalid("%s: it has %d characters: at most %d", field, utf8.RuneCountInString(text), limit)
	case w.token(text):
		wrong.invalid("%s: it holds a token, and is not kept secret: take it out, and revoke the key if the token is in use", field)
	}
}

// nearest is a remedy for a name that isn't one of the given.
func nearest(name string, known []string) string {
	if name == "" && len(known) > 0 {
		return fmt.Sprintf("name one of %s", strings.Join(known, ", "))
	}
	if looksSecret(name) {
		name = ""
	}
	return policy.Nearest(name, known)
}

func (c *Compiled) names() []string {
	var names []string
	for name := range c.one {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
