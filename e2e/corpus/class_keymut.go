package corpus

import (
	"strings"

	"github.com/latchkey/latchkey/internal/oracle"
)

// openLines is a request that each key type may make.
var openLines = map[string]string{
	"kodey-pk": "GET /v1/chat", "kodey-sk": "GET /v1/agents", "kodey-usk-one": "GET /v1/members",
	"cun-live": "GET /v1/agents", "cun-test": "GET /v1/documents",
	"spo-pk-editor": "POST /api/client/events", "spo-sk-admin": "GET /api/projects/p_1", "spo-ok-owner": "GET /api/admin/billing",
	"sho-pk-live": "GET /v1/feed", "sho-sk-live": "GET /v1/content", "sho-sk-test": "GET /v1/content", "sho-pk-test": "GET /v1/config",
}

// keysOfEachType are the names in openLines, in a fixed order.
var keysOfEachType = []string{
	"kodey-pk", "kodey-sk", "kodey-usk-one", "cun-live", "cun-test", "spo-pk-editor", "spo-sk-admin", "spo-ok-owner",
	"sho-pk-live", "sho-sk-live", "sho-pk-test", "sho-sk-test",
}

// keyMutations are tokens one step away from a real one.
func keyMutations(b *builder) {
	for _, key := range keysOfEachType {
		k := b.w.Find(key)
		token := k.Token
		secret := token[strings.LastIndexByte(token, '_')+1:]
		prefix := strings.TrimSuffix(token, secret)
		turn := func(s string, i int) string { // another character of the alphabet
			c := byte('a')
			if s[i] == 'a' {
				c = 'b'
			}
			return s[:i] + string(c) + s[i+1:]
		}
		for _, m := range []struct{ name, token string }{
			{"itself", token},
			{"first character of the secret", prefix + turn(secret, 0)},
			{"middle", prefix + turn(secret, len(secret)/2)},
			{"last", prefix + turn(secret, len(secret)-1)},
			{"one short", token[:len(token)-1]},
			{"one long", token + "0"},
			{"half", token[:len(token)/2]},
			{"prefix only", prefix},
			{"secret only", secret},
			{"doubled", token + token},
			{"swapped case", prefix + swapCase(secret)},
			{"upper", strings.ToUpper(token)},
			{"reversed secret", prefix + reverse(secret)},
			{"upper prefix", strings.ToUpper(prefix) + secret},
			{"leading underscore", "_" + token},
			{"dash for underscore", strings.ReplaceAll(token, "_", "-")},
			{"underscore in the secret", prefix + "_" + secret[1:]},
			{"padded with A", prefix + secret[:len(secret)-1] + "A"},
			{"zeros", prefix + strings.Repeat("0", len(secret))},
			{"well formed, never issued", oracle.Mint(key+" never issued", k.Policy, k.Type, k.Environment)},
			{"dot inside", prefix + secret[:5] + "." + secret[6:]},
			{"plus inside", prefix + secret[:5] + "+" + secret[6:]},
		} {
			b.h1(key+" "+m.name, request{line: openLines[key], key: key, auth: []string{"Bearer " + m.token}})
		}
	}
}

func swapCase(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			b[i] = c ^ 0x20
		}
	}
	return string(b)
}

func reverse(s string) string {
	b := []byte(s)
	for i := range b {
		b[i] = s[len(s)-1-i]
	}
	return string(b)
}

// prefixes puts the secret of one type behind the prefix of another.
func prefixes(b *builder) {
	all := []string{"pk_live_", "sk_live_", "usk_live_", "pk_test_", "sk_test_", "usk_test_", "pk_", "sk_", "ok_", "cuk_live_", "cuk_test_", "cuk_", "live_", "usk_", "u", "ssk_live_", "sk_live_sk_live_", "sk_LIVE_", "SK_live_"}
	for _, key := range []string{"kodey-pk", "kodey-sk", "kodey-usk-one", "cun-test", "spo-pk-editor", "sho-pk-live", "sho-sk-test"} {
		token := b.w.Find(key).Token
		secret := token[strings.LastIndexByte(token, '_')+1:]
		for _, prefix := range all {
			b.h1(key+" as "+prefix, request{line: openLines[key], key: key, auth: []string{"Bearer " + prefix + secret}})
		}
	}
}

// crossSystem uses each key at the other systems, and each environment's key at
// the other.
func crossSystem(b *builder) {
	lines := map[string]string{"kodey": "GET /v1/chat", "cuneiform": "GET /v1/documents", "spotzee": "GET /api/client/x", "shortkit": "GET /v1/feed"}
	for _, key := range keysOfEachType {
		for _, system := range []string{"kodey", "cuneiform", "spotzee", "shortkit"} {
			b.both(key+" at "+system, request{line: lines[system], key: key, host: hosts[system]})
		}
		b.h1(key+" at staging", request{line: "GET /v1/feed", key: key, host: "api.staging.shortkit.dev"})
		b.h1(key+" at staging on an endpoint it never opens", request{line: "GET /v1/analytics", key: key, host: "api.staging.shortkit.dev"})
		b.h1(key+" at production on an endpoint it never opens", request{line: "GET /v1/analytics", key: key, host: "api.shortkit.dev"})
	}
}
