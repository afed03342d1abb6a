package key

import (
	"slices"
	"time"
)

// Withdraw returns the key with all that a later state of it had lost, and what
// that is, in words; the key itself and nothing where it lost nothing. A later
// revocation, switch-off, earlier expiry, end of a secret and change of what the
// key may do are taken over, also where the change gave: which of them takes
// away only a policy can tell. Names and descriptions stay. Of secrets the
// result has those of both, so that no rotation is undone.
func (r *Record) Withdraw(later *Record) (next *Record, lost []string) {
	c := r.Clone()
	if !later.Revoked.IsZero() && c.Revoked.IsZero() {
		c.Revoked = later.Revoked
		lost = append(lost, "revoked at "+at(later.Revoked))
	}
	if later.Disabled && !c.Disabled {
		c.Disabled = true
		lost = append(lost, "disabled")
	}
	if !later.Expires.IsZero() && (c.Expires.IsZero() || later.Expires.Before(c.Expires)) {
		c.Expires = later.Expires
		lost = append(lost, "expires at "+at(later.Expires))
	}
	if secrets, ended := withdrawSecrets(c.Secrets, later.Secrets); ended {
		c.Secrets = secrets
		lost = append(lost, "rotated at "+at(later.Current().Created))
	}
	if c.Role != later.Role || c.Creator != later.Creator || !slices.Equal(c.Scopes, later.Scopes) {
		c.Role, c.Creator, c.Scopes = later.Role, later.Creator, slices.Clone(later.Scopes)
		lost = append(lost, "changed in what it may do")
	}
	if len(lost) == 0 {
		return r, nil
	}
	return c, lost
}

// withdrawSecrets returns the secrets of both states, and whether one of the
// earlier state ends earlier by that. What ended in either state has ended.
// Secrets that only the earlier state has end when the later one's current was
// made. But where that one was replaced in the earlier state, the two parted
// before, and nothing is known against what replaced it.
func withdrawSecrets(earlier, later []Secret) (secrets []Secret, ended bool) {
	current := later[len(later)-1]
	first, second, end := earlier, later, current.Created
	if hasEnd(earlier, current.Digest) && !hasEnd(later, earlier[len(earlier)-1].Digest) {
		first, second, end = later, earlier, time.Time{}
	}
	for _, s := range first {
		if indexOf(second, s.Digest) < 0 {
			s.Until = sooner(s.Until, end)
			secrets = append(secrets, s)
		}
	}
	for i, s := range second {
		if j := indexOf(first, s.Digest); j >= 0 && i < len(second)-1 {
			s.Until = sooner(s.Until, first[j].Until)
		}
		secrets = append(secrets, s)
	}
	for _, s := range earlier {
		ended = ended || !secrets[indexOf(secrets, s.Digest)].Until.Equal(s.Until)
	}
	return secrets, ended
}

func indexOf(secrets []Secret, d Digest) int {
	return slices.IndexFunc(secrets, func(s Secret) bool { return s.Digest == d })
}

// hasEnd reports whether the secret with this digest is there, and was replaced.
func hasEnd(secrets []Secret, d Digest) bool {
	i := indexOf(secrets, d)
	return i >= 0 && !secrets[i].Until.IsZero()
}

// sooner returns the earlier of two ends, of which zero is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func at(t time.Time) string { return t.UTC().Format(time.RFC3339) }
