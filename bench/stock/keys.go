// Package stock is the store that is measured with: the kodey example with as many keys as it takes.
package stock

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
)

// What the store holds, beside keys. Every key of a team belongs to one of the
// teams, every key of a person to one of the people, who each own one team.
const (
	teams  = 1000
	people = 200

	// FewestKeys has some of every type.
	FewestKeys = 100
)

// Key types of the kodey example.
const (
	Publishable = "publishable"
	Secret      = "secret"
	UserSecret  = "user_secret"
)

// Prefixes are what tokens of each type begin with.
var Prefixes = map[string]string{Publishable: "pk_live_", Secret: "sk_live_", UserSecret: "usk_live_"}

// Credential is one key as its owner has it. Credentials follow from their number, so
// that stores, requests and other subjects agree on them without telling each other.
type Credential struct {
	ID    string
	Token string
	Kind  string // key type
	Team  string // of a person's key: the one that the person owns
	User  string // empty for a team's key
}

// Nth returns the credential of a number.
func Nth(n int) Credential {
	c := Credential{Kind: Secret, Team: fmt.Sprintf("t_%d", n%teams)}
	switch n % 20 {
	case 0, 3, 6, 9, 12, 15, 18:
		c.Kind = Publishable
	case 1, 7, 13, 19:
		c.Kind = UserSecret
		person := n % people
		c.User, c.Team = fmt.Sprintf("u_%d", person), fmt.Sprintf("t_%d", person)
	}
	const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	sum := sha256.Sum256(fmt.Appendf(nil, "latchkey bench %d", n))
	text := make([]byte, 30)
	for i := range text {
		text[i] = base62[int(sum[i])%len(base62)]
	}
	c.Token = Prefixes[c.Kind] + string(text)
	name := sha256.Sum256(fmt.Appendf(nil, "latchkey bench id %d", n))
	c.ID = "key_" + hex.EncodeToString(name[:16])
	return c
}

// record is what Latchkey keeps of the key, but for its secret.
func (c Credential) record() key.Record {
	r := key.Record{Policy: "kodey", Type: c.Kind, Environment: "live", Name: "bench"}
	if c.User == "" {
		r.Tenant = "team:" + c.Team
	} else {
		r.Principal, r.Creator = "user:"+c.User, "user:"+c.User
	}
	return r
}

func (c Credential) secret() key.Secret {
	return key.Secret{Digest: key.NewToken(c.Token).Digest(), Prefix: Prefixes[c.Kind], Last4: c.Token[len(c.Token)-4:]}
}

func tenants() []*directory.Tenant {
	out := make([]*directory.Tenant, teams)
	for i := range out {
		out[i] = &directory.Tenant{ID: fmt.Sprintf("team:t_%d", i), Plan: "pro"}
	}
	return out
}

func principals() []*directory.Principal {
	out := make([]*directory.Principal, people)
	for i := range out {
		out[i] = &directory.Principal{ID: fmt.Sprintf("user:u_%d", i), Memberships: map[string]string{fmt.Sprintf("team:t_%d", i): "OWNER"}}
	}
	return out
}
