package admin

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// sameKey returns in what a key that is there isn't the one that is imported,
// and nil where whoever goes on with an import may pass over it. That is so of a
// key that is as it would be imported, and of one that has lost something since:
// it was revoked, disabled or rotated, or an old secret of it was ended sooner.
// The error names fields, and nothing that is in them.
func sameKey(k *adminv1.ImportKey, made, there *key.Record) error {
	switch {
	case there.Policy != made.Policy || there.Type != made.Type || there.Environment != made.Environment ||
		there.Tenant != made.Tenant || there.Principal != made.Principal:
		return invalid("id: the key %s is there, and of another policy, type, environment or owner: take it out", there.ID)
	case slices.ContainsFunc(made.Secrets, func(s key.Secret) bool { return secretOf(there, s.Digest) == nil }):
		return invalid("id: the key %s is there, and doesn't have this token: take it out", there.ID)
	case !made.Revoked.IsZero() && there.Revoked.IsZero():
		return invalid("revoked_at: the key %s is there, and isn't revoked: revoke it (latchkey keys revoke)", there.ID)
	case !there.Revoked.IsZero():
		return nil // for good, whatever else was said of it
	}
	if fields := differing(k, made, there); fields != nil {
		return invalid("%s: the key %s is there, and isn't so: take it out, which leaves the key as it is, or change one of them first (latchkey keys update)",
			strings.Join(fields, ", "), there.ID)
	}
	return nil
}

// differing names the fields in which a key that is there is another than it
// would be imported, or holds more.
func differing(k *adminv1.ImportKey, made, there *key.Record) (fields []string) {
	current, is := made.Current(), secretOf(there, made.Current().Digest)
	back := k.GetId() != ""
	for _, one := range []struct {
		field   string
		differs bool
	}{
		{"creator", made.Creator != there.Creator},
		{"role", made.Role != there.Role},
		{"scopes", !slices.Equal(made.Scopes, there.Scopes)},
		{"name", made.Name != there.Name},
		{"description", made.Description != there.Description},
		{"system", made.System != there.System},
		// A length of time ends at another moment each time it is counted.
		{"expires_at", k.GetKey().GetExpiresIn() == nil && !sameTime(k.GetKey().GetExpiresAt(), timestamp(there.Expires))},
		{"disabled", made.Disabled && !there.Disabled},
		{"prefix", saysElse(current.Prefix, is.Prefix)},
		{"last4", saysElse(current.Last4, is.Last4)},
		{"created_at", k.GetCreatedAt() != nil && !made.Created.Equal(there.Created)},
		{"rotated_at", (k.GetRotatedAt() != nil || k.GetCreatedAt() != nil) && !current.Created.Equal(is.Created)},
		{"former_secrets", back && !sameFormer(made.Secrets, there.Secrets)},
	} {
		if one.differs {
			fields = append(fields, one.field)
		}
	}
	return fields
}

// sameFormer reports whether the secrets before the current one of a key that is
// imported are those that the key has, and none is valid for longer.
func sameFormer(made, there []key.Secret) bool {
	former := made[:len(made)-1]
	return len(there) >= len(made) && there[len(former)].Digest == made[len(former)].Digest &&
		slices.EqualFunc(former, there[:len(former)], func(is, has key.Secret) bool {
			return is.Digest == has.Digest && is.Created.Equal(has.Created) && !has.Until.After(is.Until) &&
				!saysElse(is.Prefix, has.Prefix) && !saysElse(is.Last4, has.Last4)
		})
}

// secretOf returns the secret of a key that has this digest, and nil for none.
func secretOf(r *key.Record, d key.Digest) *key.Secret {
	i := slices.IndexFunc(r.Secrets, func(s key.Secret) bool { return s.Digest == d })
	if i < 0 {
		return nil
	}
	return &r.Secrets[i]
}

// saysElse reports whether two say something, and not the same.
func saysElse(one, other string) bool { return one != "" && other != "" && one != other }

func sameTime(one, other *timestamppb.Timestamp) bool {
	if one == nil || other == nil {
		return one == other
	}
	return one.AsTime().Equal(other.AsTime())
}
