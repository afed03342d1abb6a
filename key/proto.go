package key

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	keyv1 "github.com/latchkey/latchkey/proto/latchkey/key/v1"
)

// ToProto returns the stored form.
func (r *Record) ToProto() *keyv1.Record {
	p := &keyv1.Record{
		Id: r.ID, Policy: r.Policy, Type: r.Type, Environment: r.Environment,
		Tenant: r.Tenant, Principal: r.Principal, Creator: r.Creator, Role: r.Role, Scopes: r.Scopes,
		Name: r.Name, Description: r.Description,
		Created: timestamp(r.Created), Expires: timestamp(r.Expires), Revoked: timestamp(r.Revoked),
		Disabled: r.Disabled, System: r.System, Revision: r.Revision,
	}
	for _, s := range r.Secrets {
		p.Secrets = append(p.Secrets, &keyv1.Secret{
			Digest: s.Digest[:], Prefix: s.Prefix, Last4: s.Last4, Created: timestamp(s.Created), Until: timestamp(s.Until),
		})
	}
	return p
}

// FromProto reads the stored form. A record that could not have been written
// by ToProto is an error: nothing is repaired.
func FromProto(p *keyv1.Record) (*Record, error) {
	if p.GetId() == "" || p.GetPolicy() == "" || p.GetType() == "" {
		return nil, fmt.Errorf("key record %q lacks its id, policy or type", p.GetId())
	}
	if (p.GetTenant() == "") == (p.GetPrincipal() == "") {
		return nil, fmt.Errorf("key record %s must have one owner, a tenant or a principal", p.GetId())
	}
	if len(p.GetSecrets()) == 0 {
		return nil, fmt.Errorf("key record %s has no secret", p.GetId())
	}
	if err := checkTimes(p); err != nil {
		return nil, fmt.Errorf("key record %s: %w", p.GetId(), err)
	}
	r := &Record{
		ID: p.GetId(), Policy: p.GetPolicy(), Type: p.GetType(), Environment: p.GetEnvironment(),
		Tenant: p.GetTenant(), Principal: p.GetPrincipal(), Creator: p.GetCreator(), Role: p.GetRole(), Scopes: p.GetScopes(),
		Name: p.GetName(), Description: p.GetDescription(),
		Created: moment(p.GetCreated()), Expires: moment(p.GetExpires()), Revoked: moment(p.GetRevoked()),
		Disabled: p.GetDisabled(), System: p.GetSystem(), Revision: p.GetRevision(),
	}
	for i, s := range p.GetSecrets() {
		secret := Secret{Prefix: s.GetPrefix(), Last4: s.GetLast4(), Created: moment(s.GetCreated()), Until: moment(s.GetUntil())}
		if copy(secret.Digest[:], s.GetDigest()) != len(secret.Digest) || len(s.GetDigest()) != len(secret.Digest) {
			return nil, fmt.Errorf("key record %s has a digest of %d bytes", r.ID, len(s.GetDigest()))
		}
		if last := i == len(p.GetSecrets())-1; last != secret.Until.IsZero() {
			return nil, fmt.Errorf("key record %s: exactly its newest secret must be without an end", r.ID)
		}
		r.Secrets = append(r.Secrets, secret)
	}
	return r, nil
}

// checkTimes returns an error for a time that isn't one, and for the one that
// would read as never: a revocation must not be lost in it.
func checkTimes(p *keyv1.Record) error {
	times := []*timestamppb.Timestamp{p.GetCreated(), p.GetExpires(), p.GetRevoked()}
	for _, s := range p.GetSecrets() {
		times = append(times, s.GetCreated(), s.GetUntil())
	}
	for _, t := range times {
		if t != nil && (!t.IsValid() || t.AsTime().IsZero()) {
			return fmt.Errorf("a time of it (%d s) is not between the years 1 and 9999", t.GetSeconds())
		}
	}
	return nil
}

func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func moment(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
