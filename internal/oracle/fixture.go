package oracle

import (
	"crypto/sha256"
	"fmt"
	"time"
)

// Times of the fixture. They lie far from Now on both sides, because a real
// server decides on its own clock.
var (
	fixtureNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	longAgo    = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	farAway    = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
)

// Fixture is a rich fixed world: for each of the four systems keys of every
// type, environment, role and state, creators of every ceiling, users with
// every membership, and tenants to cross into. Each call returns a new one.
//
// A real server may give other ids, and other tokens to rotated keys: change
// them in the returned World and find keys with Find, by name.
func Fixture() *World {
	w := &World{Tenants: map[string]Tenant{}, Principals: map[string]Principal{}, Now: fixtureNow}
	w.addKodey()
	w.addCuneiform()
	w.addSpotzee()
	w.addShortkit()
	return w
}

// Find returns the key with this fixture name. It panics for a name that the
// fixture hasn't, which is a mistake in a test.
func (w *World) Find(name string) *Key {
	for i := range w.Keys {
		if w.Keys[i].Name == name {
			return &w.Keys[i]
		}
	}
	panic("oracle: the fixture has no key named " + name)
}

// secret is a fixed text of n base62 characters that differs for each name.
func secret(name string, n int) string {
	var b []byte
	for i := 0; len(b) < n; i++ {
		for _, c := range sha256.Sum256(fmt.Appendf(nil, "%s %d", name, i)) {
			b = append(b, base62[int(c)%len(base62)])
		}
	}
	return string(b[:n])
}

// Mint returns a well-formed token for a key of the policy, type and
// environment that differs for each name and belongs to no key unless a test
// gives it to one.
func Mint(name, policy, typ, environment string) string {
	switch policy {
	case "kodey":
		return map[string]string{"publishable": "pk_live_", "secret": "sk_live_", "user_secret": "usk_live_"}[typ] + secret(name, 30)
	case "cuneiform":
		return "cuk_" + environment + "_" + secret(name, 40)
	case "spotzee":
		return map[string]string{"publishable": "pk_", "secret": "sk_", "organisation": "ok_"}[typ] + secret(name, 32)
	case "shortkit":
		return map[string]string{"publishable": "pk_", "secret": "sk_"}[typ] + environment + "_" + secret(name, 30)
	}
	panic("oracle: no such policy: " + policy)
}

// add completes a key with id and token and applies the changes to it.
func (w *World) add(name string, k Key, changes ...func(*Key)) {
	k.Name, k.ID = name, "key_"+name
	k.Token = Mint(name, k.Policy, k.Type, k.Environment)
	for _, change := range changes {
		change(&k)
	}
	w.Keys = append(w.Keys, k)
}

// addStates adds one key like k for each state that any key can be in.
func (w *World) addStates(prefix string, k Key) {
	w.add(prefix+"-revoked", k, revoked)
	w.add(prefix+"-expired", k, expired)
	w.add(prefix+"-disabled", k, disabled)
	w.add(prefix+"-expires-later", k, func(k *Key) { k.Expires = farAway })
	w.add(prefix+"-revoked-expired-disabled", k, revoked, expired, disabled)
	w.add(prefix+"-expired-disabled", k, expired, disabled)
}

func revoked(k *Key)  { k.Revoked = true }
func expired(k *Key)  { k.Expires = longAgo }
func disabled(k *Key) { k.Disabled = true }

// rotated gives a key a token that rotation has replaced.
func rotated(until time.Time) func(*Key) {
	return func(k *Key) {
		old := Mint(k.Name+" before", k.Policy, k.Type, k.Environment)
		k.OldTokens = append(k.OldTokens, OldToken{Token: old, Until: until})
	}
}
