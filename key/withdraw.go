package key

import (
	"slices"
	"time"
)

// Withdraw returns the key with all that a later state of it had lost, and what
// that is, in words; the key itself and nothing where it lost nothing. A later
// revocation, switch-off, earlier expiry, end of a secret and change of what the
// key may do are taken over, also where the change gave: which of them takes
// away only a policy can tell. Names and descriptions stay. Secrets that only
// the earlier state has end when the later one was made; those that only the
// later one has are kept, so that a rotation isn't undone.
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

// withdrawSecrets returns the secrets of the later state, after those that only
// the earlier one has, ended, and whether any secret ends earlier by that.
func withdrawSecrets(earlier, later []Secret) (secrets []Secret, ended bool) {
	for _, s := range earlier {
		end := later[len(later)-1].Created
		i := slices.IndexFunc(later, func(l Secret) bool { return l.Digest == s.Digest })
		if i >= 0 {
			end = later[i].Until
		}
		sooner := !end.IsZero() && (s.Until.IsZero() || end.Before(s.Until))
		ended = ended || sooner
		if i >= 0 {
			continue
		}
		if sooner {
			s.Until = end
		}
		secrets = append(secrets, s)
	}
	return append(secrets, later...), ended
}

func at(t time.Time) string { return t.UTC().Format(time.RFC3339) }
