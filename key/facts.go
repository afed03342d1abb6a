package key

import (
	"encoding/hex"
	"strings"
	"time"
)

// Facts are what a check needs to know of a key, as the secret with which it
// was found has it: the record without its history and without what is said to
// people. They share text with where they came from and are to be read only.
type Facts struct {
	ID          ID
	Policy      string
	Type        string
	Environment string
	Tenant      string // owner; empty for a principal's key
	Principal   string // owner; empty for a tenant's key
	Creator     string
	Role        string
	Scopes      []string
	Expires     time.Time // exclusive; zero for never
	Until       time.Time // exclusive end of the secret, once another took its place; zero for the current one
	Revoked     bool
	Disabled    bool
}

// Status returns what the key is, at a moment, for whoever presents the secret:
// a replaced secret is Retiring in its grace, and Revoked from its end on.
func (f *Facts) Status(now time.Time) Status {
	replaced := !f.Until.IsZero()
	switch {
	case f.Revoked, replaced && !now.Before(f.Until):
		return Revoked
	case !f.Expires.IsZero() && !now.Before(f.Expires):
		return Expired
	case f.Disabled:
		return Disabled
	case replaced:
		return Retiring
	}
	return Active
}

// Live reports whether the key may be valid now or later: it isn't revoked and
// hasn't expired.
func (f *Facts) Live(now time.Time) bool {
	s := f.Status(now)
	return s != Revoked && s != Expired
}

// Facts returns the facts of a record for its current secret, if it has one
// yet.
func (r *Record) Facts() *Facts {
	if n := len(r.Secrets); n > 0 {
		return r.facts(&r.Secrets[n-1])
	}
	return r.facts(&Secret{})
}

// FactsOf returns the facts of a record for the secret with this digest, and
// whether it has one.
func (r *Record) FactsOf(d Digest) (*Facts, bool) {
	for i := range r.Secrets {
		if r.Secrets[i].Digest == d {
			return r.facts(&r.Secrets[i]), true
		}
	}
	return nil, false
}

func (r *Record) facts(s *Secret) *Facts {
	return &Facts{
		ID: ParseID(r.ID), Policy: r.Policy, Type: r.Type, Environment: r.Environment,
		Tenant: r.Tenant, Principal: r.Principal, Creator: r.Creator, Role: r.Role, Scopes: r.Scopes,
		Expires: r.Expires, Until: s.Until, Revoked: !r.Revoked.IsZero(), Disabled: r.Disabled,
	}
}

const (
	idPrefix = "key_"
	idRandom = 16 // bytes
)

// ID is the public name of a key, as small as it can be kept: of those that
// NewID makes, the random bits. Two are equal if they are the same name.
type ID struct {
	random [idRandom]byte
	text   string // instead, of a name of another form
}

// ParseID returns the ID of a name. Any text is one.
func ParseID(text string) ID {
	digits, ok := strings.CutPrefix(text, idPrefix)
	if !ok || len(digits) != hex.EncodedLen(idRandom) {
		return ID{text: text}
	}
	var id ID
	var all byte
	for i := range id.random {
		high, low := hexDigits[digits[2*i]], hexDigits[digits[2*i+1]]
		all |= high | low
		id.random[i] = high<<4 | low
	}
	if all == noDigit || id == (ID{}) {
		return ID{text: text}
	}
	return id
}

const noDigit = 0xff

// hexDigits has the value of each digit as NewID writes it.
var hexDigits = func() (values [256]byte) {
	for c := range values {
		values[c] = noDigit
	}
	for value, c := range []byte("0123456789abcdef") {
		values[c] = byte(value)
	}
	return values
}()

// RandomID returns the ID of a name that NewID made, by its random bits.
func RandomID(random [16]byte) ID { return ID{random: random} }

// Random returns the random bits of a name, and whether it is one that has
// nothing else.
func (id ID) Random() (random [16]byte, ok bool) { return id.random, id.random != [idRandom]byte{} }

// Append adds the name to a buffer.
func (id ID) Append(to []byte) []byte {
	if _, ok := id.Random(); !ok {
		return append(to, id.text...)
	}
	return hex.AppendEncode(append(to, idPrefix...), id.random[:])
}

// String returns the name.
func (id ID) String() string { return string(id.Append(nil)) }
