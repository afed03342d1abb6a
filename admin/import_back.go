package admin

import (
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// putBack reads a key that is put back as it was, as an export has it. It was
// judged when it was made, so that only what decides its access is asked now:
// its policy, type, environment, owner, role and scopes have to be there. Of a
// key that is over nothing is asked but that it is whole.
func (b *batch) putBack(k *adminv1.ImportKey) (l line) {
	f := k.GetKey()
	d := &drafted{record: &key.Record{
		ID: k.GetId(), Policy: f.GetPolicy(), Type: f.GetType(), Environment: f.GetEnvironment(),
		Tenant: f.GetTenant(), Principal: f.GetPrincipal(), Creator: k.GetCreator(), Role: f.GetRole(), Scopes: f.GetScopes(),
		Name: f.GetName(), Description: f.GetDescription(), System: f.GetSystem(), Disabled: k.GetDisabled(),
	}}
	if !keyID.MatchString(k.GetId()) {
		d.wrong.invalid("id: that is not the id of a key, which is key_ and 32 hex digits: correct it, or leave it out for a new one")
	}
	if f.GetExpiresIn() != nil {
		d.wrong.invalid("expires_in: a key that is put back ends when it did: give expires_at")
	}
	r := d.record
	r.Created = b.time(&d.wrong, "created_at", k.GetCreatedAt())
	r.Expires = b.time(&d.wrong, "expires_at", f.GetExpiresAt())
	r.Revoked = b.time(&d.wrong, "revoked_at", k.GetRevokedAt())
	rotated := b.time(&d.wrong, "rotated_at", k.GetRotatedAt())
	if r.Created.IsZero() {
		r.Created = b.Now.UTC().Round(0)
	}
	if rotated.IsZero() {
		rotated = r.Created
	}
	b.words(&d.wrong, "name", r.Name, maxName)
	b.words(&d.wrong, "description", r.Description, maxDescription)
	b.named(d, r)
	l.form, d.wrong = d.wrong, nil
	b.placed(d, f)
	l.judged, d.wrong = d.wrong, l.form
	s, err := b.secret(d, k)
	if d.wrong.add(err); err == nil {
		s.Created = rotated
		b.former(d, k.GetFormerSecrets())
		r.Secrets = append(r.Secrets, s)
		l.record = r
	}
	l.form = d.wrong
	return l
}

// time reads a time that may be absent.
func (b *batch) time(wrong *mistakes, field string, t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	if t.CheckValid() != nil || t.AsTime().IsZero() {
		wrong.invalid("%s: not a time from the year 1 to 9999: write 2030-01-31T12:00:00Z", field)
		return time.Time{}
	}
	return t.AsTime()
}

// named checks that a key says what it is in names, whether or not there is such a thing.
func (b *batch) named(d *drafted, r *key.Record) {
	for _, one := range []struct {
		field, name string
		needed      bool
	}{
		{"policy", r.Policy, true}, {"type", r.Type, true}, {"environment", r.Environment, false}, {"role", r.Role, false},
	} {
		if one.name == "" && one.needed || one.name != "" && !directory.ValidName(one.name) {
			d.wrong.invalid("%s: it isn't a name: write 1 to 128 characters of A-Z a-z 0-9 . _ ~ -", one.field)
		}
	}
	if r.Scopes = sorted(r.Scopes); len(r.Scopes) > maxScopes || slices.ContainsFunc(r.Scopes, func(s string) bool { return !directory.ValidPermission(s) }) {
		d.wrong.invalid("scopes: they aren't names, or more than %d: correct them", maxScopes)
	}
	if (r.Tenant == "") == (r.Principal == "") {
		d.wrong.invalid("tenant, principal: a key belongs to one of them: give exactly one")
	}
	for _, one := range []struct{ field, name string }{{"tenant", r.Tenant}, {"principal", r.Principal}, {"creator", r.Creator}} {
		if one.name != "" && directory.CheckID(one.name) != nil {
			d.wrong.invalid("%s: %s isn't a name of the form kind:name: correct it", one.field, b.quote(one.name))
		}
	}
}

// placed checks that a key that isn't over fits its policy and has an owner.
func (b *batch) placed(d *drafted, f *adminv1.KeyFields) {
	r := d.record
	if !r.Revoked.IsZero() || !r.Expires.IsZero() && !b.Now.Before(r.Expires) {
		return
	}
	if d.policy = b.Policies.Policy(r.Policy); d.policy == nil {
		d.wrong.invalid("policy: %s is not in use: %s", b.quote(r.Policy), nearest(r.Policy, b.Policies.names()))
		return
	}
	if d.keyType = d.policy.Type(r.Type); d.keyType == nil {
		d.wrong.invalid("type: the policy %s has no key type %s: %s", d.policy.Name(), b.quote(r.Type), nearest(r.Type, d.policy.Types()))
		return
	}
	b.environment(d, f)
	d.wrong.add(b.role(d.policy, d.keyType, r.Role))
	d.wrong.add(b.chosen(d.policy, d.keyType, r.Scopes))
	_, owned := b.Directory.Tenant(r.Tenant)
	if d.keyType.Owner == "" {
		_, owned = b.Directory.Principal(r.Principal)
	}
	switch kind := directory.Kind(r.Tenant); {
	case (r.Tenant == "") == (r.Principal == ""): // which is noted
	case kind != d.keyType.Owner && d.keyType.Owner == "":
		d.wrong.invalid("tenant: keys of the type %s belong to a principal: leave the tenant out, and name it", d.keyType.Name)
	case kind != d.keyType.Owner:
		d.wrong.invalid("tenant: keys of the type %s belong to a tenant of the kind %s: name one as %s:…", d.keyType.Name, d.keyType.Owner, d.keyType.Owner)
	case !owned:
		d.wrong.invalid("tenant, principal: %s isn't in the directory: apply it first, or correct the name", b.quote(r.Tenant+r.Principal))
	}
}

// former reads the secrets that others took the place of.
func (b *batch) former(d *drafted, all []*adminv1.FormerSecret) {
	retiring := 0
	for i, m := range all {
		digest, err := key.ParseDigest(m.GetTokenSha256())
		if err != nil {
			d.wrong.invalid("former_secrets: %d: token_sha256: %s: give the SHA-256 of the whole token", i, err)
			continue
		}
		s := key.Secret{Digest: digest, Prefix: m.GetPrefix(), Last4: m.GetLast4()}
		d.wrong.add(shownOf(s))
		s.Created = b.time(&d.wrong, "former_secrets: created_at", m.GetCreatedAt())
		if s.Until = b.time(&d.wrong, "former_secrets: until", m.GetUntil()); s.Until.IsZero() {
			d.wrong.invalid("former_secrets: %d: until: it is missing: say when it stopped being valid", i)
		}
		if b.Now.Before(s.Until) {
			retiring++
		}
		d.record.Secrets = append(d.record.Secrets, s)
	}
	if retiring > 1 {
		d.wrong.invalid("former_secrets: %d are still valid: a key has one beside its current one at most", retiring)
	}
}
