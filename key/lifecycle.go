package key

import (
	"crypto/rand"
	"fmt"
	"slices"
	"time"
)

// NewID returns a fresh public name: "key_" and 128 random bits in hex. Names
// are never reused, because they are never guessed.
func NewID() string {
	var id ID
	_, _ = rand.Read(id.random[:]) // never fails: crypto/rand ends the process first
	return id.String()
}

// Neighbours returns a source of fresh public names that are close to each other
// in order, for keys that are written together: a store in order of name then
// writes few pages for many keys. They have 24 random bits in common and 104 of
// their own. It is not safe for concurrent use.
func Neighbours() func() string {
	var id ID
	_, _ = rand.Read(id.random[:]) // as in NewID
	return func() string {
		_, _ = rand.Read(id.random[3:])
		return id.String()
	}
}

// Issue returns a new key: the given fields, an id, its first secret and the
// time of its making.
func Issue(fields Record, s Secret, now time.Time) *Record {
	return IssueAs(NewID(), fields, s, now)
}

// IssueAs is Issue with a fresh id of the caller's: see Neighbours.
func IssueAs(id string, fields Record, s Secret, now time.Time) *Record {
	r := fields.Clone()
	r.ID = id
	r.Created = stamp(now)
	r.Expires = stamp(r.Expires)
	s.Created = r.Created
	s.Until = time.Time{}
	r.Secrets = []Secret{s}
	r.Revoked, r.Disabled, r.Revision = time.Time{}, false, 0
	return r
}

// Rotate returns the key with a new current secret. The old one ends now, or
// after the grace. Id, grants, description and expiry stay. It returns
// ErrRevoked or ErrExpired for a key that can't be valid again by a new
// secret, and ErrStillRetiring where a grace is asked for while an earlier
// one runs: a key holds two live secrets at most. Without a grace all older
// secrets end at once.
func (r *Record) Rotate(s Secret, grace time.Duration, now time.Time) (*Record, error) {
	if err := r.changeable(now); err != nil {
		return nil, err
	}
	if old, ok := r.Retiring(now); ok && grace > 0 {
		return nil, fmt.Errorf("%w until %s: rotate without a grace to end it now, or wait", ErrStillRetiring, old.Until.UTC().Format(time.RFC3339))
	}
	now = stamp(now)
	c := r.Clone()
	for i := range c.Secrets {
		old := &c.Secrets[i]
		if old.Until.IsZero() || now.Before(old.Until) {
			old.Until = now.Add(grace)
		}
	}
	s.Created, s.Until = now, time.Time{}
	c.Secrets = append(c.Secrets, s)
	return c, nil
}

// Revoke returns the key ended for good, all its secrets at once. A revoked
// key is returned as it is: revoking twice is no error and no change.
func (r *Record) Revoke(now time.Time) *Record {
	if !r.Revoked.IsZero() {
		return r
	}
	c := r.Clone()
	c.Revoked = stamp(now)
	return c
}

// Disable returns the key switched off until Enable. It returns ErrRevoked.
func (r *Record) Disable() (*Record, error) { return r.withDisabled(true) }

// Enable returns the key switched on again. It returns ErrRevoked.
func (r *Record) Enable() (*Record, error) { return r.withDisabled(false) }

func (r *Record) withDisabled(off bool) (*Record, error) {
	if !r.Revoked.IsZero() {
		return nil, ErrRevoked
	}
	if r.Disabled == off {
		return r, nil
	}
	c := r.Clone()
	c.Disabled = off
	return c, nil
}

// Update is what may change of a key. A nil field stays as it is.
type Update struct {
	Name, Description, Creator, Role *string
	Scopes                           *[]string
	Expires                          *time.Time // zero: never
}

// Update returns the changed key, or the key itself where nothing changes.
// It returns ErrRevoked.
func (r *Record) Update(u Update) (*Record, error) {
	if !r.Revoked.IsZero() {
		return nil, ErrRevoked
	}
	c, changed := r.Clone(), false
	set := func(field *string, to *string) {
		if to != nil && *field != *to {
			*field, changed = *to, true
		}
	}
	set(&c.Name, u.Name)
	set(&c.Description, u.Description)
	set(&c.Creator, u.Creator)
	set(&c.Role, u.Role)
	if u.Scopes != nil && !slices.Equal(c.Scopes, *u.Scopes) {
		c.Scopes, changed = slices.Clone(*u.Scopes), true
	}
	if u.Expires != nil && !c.Expires.Equal(*u.Expires) {
		c.Expires, changed = stamp(*u.Expires), true
	}
	if !changed {
		return r, nil
	}
	return c, nil
}

func (r *Record) changeable(now time.Time) error {
	switch r.Status(now) {
	case Revoked:
		return ErrRevoked
	case Expired:
		return ErrExpired
	}
	return nil
}

// stamp is how times are kept: UTC, without a monotonic part.
func stamp(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Round(0)
}
