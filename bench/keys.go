package main

import (
	"crypto/sha256"
	"fmt"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
)

// What the store holds, beside keys. Every key of a team belongs to one of the
// teams, every key of a person to one of the people, who each own one team.
const (
	teams  = 1000
	people = 200

	// fewestKeys has some of every type.
	fewestKeys = 100
)

// Key types of the kodey example.
const (
	publishable = "publishable"
	secret      = "secret"
	userSecret  = "user_secret"
)

var prefixes = map[string]string{publishable: "pk_live_", secret: "sk_live_", userSecret: "usk_live_"}

// credential is one key as its owner has it. Credentials follow from their number, so
// that stores, requests and other subjects agree on them without telling each other.
type credential struct {
	token string
	kind  string // key type
	team  string // of a person's key: the one that the person owns
	user  string // empty for a team's key
}

func nthCredential(n int) credential {
	c := credential{kind: secret, team: fmt.Sprintf("t_%d", n%teams)}
	switch n % 20 {
	case 0, 3, 6, 9, 12, 15, 18:
		c.kind = publishable
	case 1, 7, 13, 19:
		c.kind = userSecret
		person := n % people
		c.user, c.team = fmt.Sprintf("u_%d", person), fmt.Sprintf("t_%d", person)
	}
	const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	sum := sha256.Sum256(fmt.Appendf(nil, "latchkey bench %d", n))
	text := make([]byte, 30)
	for i := range text {
		text[i] = base62[int(sum[i])%len(base62)]
	}
	c.token = prefixes[c.kind] + string(text)
	return c
}

// fields are those of the record that Latchkey keeps of the key.
func (c credential) fields() key.Record {
	r := key.Record{Policy: "kodey", Type: c.kind, Environment: "live", Name: "bench"}
	if c.user == "" {
		r.Tenant = "team:" + c.team
	} else {
		r.Principal, r.Creator = "user:"+c.user, "user:"+c.user
	}
	return r
}

func (c credential) secret() key.Secret {
	return key.Secret{Digest: key.NewToken(c.token).Digest(), Prefix: prefixes[c.kind], Last4: c.token[len(c.token)-4:]}
}

func allTenants() []*directory.Tenant {
	out := make([]*directory.Tenant, teams)
	for i := range out {
		out[i] = &directory.Tenant{ID: fmt.Sprintf("team:t_%d", i), Plan: "pro"}
	}
	return out
}

func allPrincipals() []*directory.Principal {
	out := make([]*directory.Principal, people)
	for i := range out {
		out[i] = &directory.Principal{ID: fmt.Sprintf("user:u_%d", i), Memberships: map[string]string{fmt.Sprintf("team:t_%d", i): "OWNER"}}
	}
	return out
}
