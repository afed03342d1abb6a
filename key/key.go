package key

import (
	"slices"
	"time"
)

// Record is a key. Times are UTC; a zero time means never.
type Record struct {
	ID          string
	Policy      string
	Type        string
	Environment string // empty where the policy has none
	Tenant      string // owner, as kind:name; empty for a principal's key
	Principal   string // owner; empty for a tenant's key
	Creator     string // empty for the operator
	Role        string
	Scopes      []string // chosen when the key was made
	Name        string
	Description string
	Secrets     []Secret // the newest last; ended ones stay, so that they are known
	Created     time.Time
	Expires     time.Time // exclusive
	Revoked     time.Time
	Disabled    bool
	System      bool
	Revision    uint64 // at which the record last changed; 0 before its first commit
}

// Secret is what is kept of one token of a key.
type Secret struct {
	Digest  Digest
	Prefix  string
	Last4   string // empty where only the digest is known
	Created time.Time
	Until   time.Time // exclusive end once another took its place; zero for the current one
}

// Status is what a key is at a moment.
type Status string

// The statuses, as people and programs read them.
const (
	Active   Status = "active"
	Retiring Status = "retiring" // active, and so is an older secret
	Disabled Status = "disabled"
	Expired  Status = "expired"
	Revoked  Status = "revoked"
)

// Statuses returns all of them.
func Statuses() []Status { return []Status{Active, Retiring, Disabled, Expired, Revoked} }

// Status returns what the key is at a moment. Where several apply, the more
// final one is told.
func (r *Record) Status(now time.Time) Status {
	switch {
	case !r.Revoked.IsZero():
		return Revoked
	case !r.Expires.IsZero() && !now.Before(r.Expires):
		return Expired
	case r.Disabled:
		return Disabled
	}
	if _, ok := r.Retiring(now); ok {
		return Retiring
	}
	return Active
}

// StatusOf returns what the key is for whoever presents the secret with this
// digest. One that the key never had is Revoked.
func (r *Record) StatusOf(d Digest, now time.Time) Status {
	f, ok := r.FactsOf(d)
	if !ok {
		return Revoked
	}
	return f.Status(now)
}

// Current returns the secret that is not replaced. Every record has one.
func (r *Record) Current() Secret { return r.Secrets[len(r.Secrets)-1] }

// Retiring returns the replaced secret that is still in its grace, if any.
func (r *Record) Retiring(now time.Time) (Secret, bool) {
	for _, s := range r.Secrets[:len(r.Secrets)-1] {
		if now.Before(s.Until) {
			return s, true
		}
	}
	return Secret{}, false
}

// Live reports whether the key may be valid now or later: it isn't revoked
// and hasn't expired.
func (r *Record) Live(now time.Time) bool {
	s := r.Status(now)
	return s != Revoked && s != Expired
}

// Clone returns a copy that shares nothing.
func (r *Record) Clone() *Record {
	c := *r
	c.Scopes = slices.Clone(r.Scopes)
	c.Secrets = slices.Clone(r.Secrets)
	return &c
}
