package authz

import (
	"fmt"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
)

// TestCredentialPlaces: exactly one declared place is filled, once, with one
// token.
func TestCredentialPlaces(t *testing.T) {
	w := newWorld(t)
	const (
		missing   = policy.KeyMissing
		ambiguous = policy.KeyAmbiguous
		malformed = policy.KeyMalformed
		good      = policy.Allowed
	)
	for _, c := range []struct {
		want    policy.Reason
		headers []string // T stands for a token
	}{
		{good, []string{"authorization: Bearer T"}},
		{good, []string{"authorization: bearer T"}},
		{good, []string{"authorization: BEARER T"}},
		{good, []string{"authorization: bEaReR T"}},
		{good, []string{"x-api-key: T"}},
		{good, []string{"authorization: Bearer T", "x-api-key: "}},
		{good, []string{"authorization: ", "x-api-key: T"}},
		{good, []string{"authorization: Basic T", "x-api-key: T"}},
		{good, []string{"authorization: Bearer", "x-api-key: T"}},
		{good, []string{"authorization: Bearer T", "x-other-key: T", "cookie: T", "proxy-authorization: Bearer T"}},

		{missing, nil},
		{missing, []string{"authorization: "}},
		{missing, []string{"authorization: Bearer"}},
		{missing, []string{"authorization: Bearer "}},
		{missing, []string{"authorization: Bearer \t "}},
		{missing, []string{"authorization: T"}},
		{missing, []string{"authorization: Basic T"}},
		{missing, []string{"authorization: Token T"}},
		{missing, []string{"authorization: BearerT"}},
		{missing, []string{"authorization: Bearer=T"}},
		{missing, []string{"authorization: Bearers T"}},
		{missing, []string{"authorization: Beare T"}},
		{missing, []string{"authorization: Bearer:T"}},
		{missing, []string{"authorization: Bearer\v T"}},
		{missing, []string{"authorization: Bearer\u00a0T"}},
		{missing, []string{"authorization:  Bearer T"}}, // HTTP/2 keeps the space
		{missing, []string{"authorization: \tBearer T"}},
		{missing, []string{"authorization: ,Bearer T"}},
		{missing, []string{"authorization: Basic T, Bearer T"}},
		{missing, []string{"x-api-key: "}},
		{missing, []string{"x-api-key:   "}},
		{missing, []string{"x-api_key: T"}},
		{missing, []string{"x-api-keys: T"}},

		{ambiguous, []string{"authorization: Bearer T", "x-api-key: T"}},
		{ambiguous, []string{"authorization: Bearer T", "x-api-key: x"}},
		{ambiguous, []string{"authorization: Bearer ?", "x-api-key: T"}},
		{ambiguous, []string{"authorization: Bearer T,Bearer T"}},
		{ambiguous, []string{"authorization: Bearer T, Bearer T"}},
		{ambiguous, []string{"authorization: Bearer T", "authorization: Bearer T"}},
		{ambiguous, []string{"authorization: Bearer T", "authorization: Basic x"}},
		{ambiguous, []string{"authorization: Bearer T", "authorization: "}},
		{ambiguous, []string{"authorization: Bearer T T"}},
		{ambiguous, []string{"authorization: Bearer T\tT"}},
		{ambiguous, []string{"authorization: Bearer T,"}},
		{ambiguous, []string{"authorization: Bearer ,T"}},
		{ambiguous, []string{"authorization: Bearer,T"}},
		{ambiguous, []string{"authorization: Bearer,"}},
		{ambiguous, []string{"authorization: Bearer realm=x, T"}},
		{ambiguous, []string{"x-api-key: T,T"}},
		{ambiguous, []string{"x-api-key: T,"}},
		{ambiguous, []string{"x-api-key: ,T"}},
		{ambiguous, []string{"x-api-key: T T"}},
		{ambiguous, []string{"x-api-key: Bearer T"}},
		{ambiguous, []string{"x-api-key: T", "x-api-key: T"}},
		{ambiguous, []string{"x-api-key: T", "x-api-key: "}},
		{ambiguous, []string{"x-api-key: ", "x-api-key: T"}},
		{ambiguous, []string{"x-api-key: ", "x-api-key: "}},

		{malformed, []string{"authorization: Bearer  T"}},
		{malformed, []string{"authorization: Bearer T "}},
		{malformed, []string{"authorization: Bearer\tT"}},
		{malformed, []string{"authorization: Bearer \tT"}},
		{malformed, []string{"authorization: Bearer T\t"}},
		{malformed, []string{"authorization: Bearer \"T\""}},
		{malformed, []string{"authorization: Bearer T="}},
		{malformed, []string{"authorization: Bearer x"}},
		{malformed, []string{"authorization: Bearer é"}},
		{malformed, []string{"x-api-key:  T"}},
		{malformed, []string{"x-api-key: T "}},
		{malformed, []string{"x-api-key: \tT"}},
		{malformed, []string{"x-api-key: T\xff"}},
	} {
		headers := strings.Split(strings.ReplaceAll(strings.Join(c.headers, "\n"), "T", tokens["key_full"]), "\n")
		for i := range headers { // Token is a word of its own
			headers[i] = strings.ReplaceAll(headers[i], tokens["key_full"]+"oken", "Token")
		}
		for _, f := range []form{mapped, raw} {
			if got := w.check(t, envoy(f, "GET", "/things", headers...)); got.reason != c.want.String() {
				t.Errorf("%q: %s, want %s", c.headers, got.reason, c.want)
			}
		}
	}
}

// TestTwoEntries: should two fields of one name ever come beside each other,
// unlike what Envoy does with Authorization, they are no less ambiguous.
func TestTwoEntries(t *testing.T) {
	w := newWorld(t)
	check := envoy(raw, "GET", "/things", bearer("key_full"))
	http := check.GetAttributes().GetRequest().GetHttp()
	entry := &corev3.HeaderValue{Key: "Authorization", Value: "Bearer " + tokens["key_full"]}
	http.HeaderMap.Headers = append(http.HeaderMap.Headers, entry)
	if got := w.check(t, check); got.reason != "KEY_AMBIGUOUS" {
		t.Errorf("two entries: %s", got.reason)
	}
	http.HeaderMap.Headers = []*corev3.HeaderValue{entry}
	if got := w.check(t, check); got.reason != "ALLOWED" {
		t.Errorf("one entry that isn't raw: %s", got.reason)
	}
	http.HeaderMap.Headers = nil
	http.Headers = map[string]string{"authorization": "Bearer " + tokens["key_full"]}
	if got := w.check(t, check); got.reason != "ALLOWED" {
		t.Errorf("the map alone: %s", got.reason)
	}
	http.HeaderMap.Headers = append(http.HeaderMap.Headers, entry)
	if got := w.check(t, check); got.reason != "KEY_AMBIGUOUS" {
		t.Errorf("one in the map and one in the list: %s", got.reason)
	}
}

// TestTokenLengths: 1 to 256 characters may be a token, whether it is one or not.
func TestTokenLengths(t *testing.T) {
	for n, want := range map[int]policy.Reason{
		0: policy.KeyMissing, 1: policy.Allowed, 2: policy.Allowed, 255: policy.Allowed, 256: policy.Allowed,
		257: policy.KeyMalformed, 1000: policy.KeyMalformed, 1 << 16: policy.KeyMalformed,
	} {
		text := strings.Repeat("a", n)
		for _, place := range twoPlaces {
			value := text
			if place.Bearer {
				value = "Bearer " + text
			}
			got, reason := read(place, value, 1)
			if reason != want || reason == policy.Allowed && got != text {
				t.Errorf("%d characters in %s: %s, want %s", n, place.Header, reason, want)
			}
		}
	}
}

// TestLongestToken: a token of 256 characters opens, so that the bound is no
// narrower than what may be minted.
func TestLongestToken(t *testing.T) {
	p := compile(t, strings.NewReplacer("sk_live_{secret:30}", strings.Repeat("p", 56)+"{secret:200}", "api.example, other.example", "long.example").Replace(capturedPolicy))
	w := newWorld(t, p)
	token := strings.Repeat("p", 56) + strings.Repeat("s", 200)
	w.keys["key_long"] = &key.Record{
		ID: "key_long", Policy: "captured", Type: "secret", Tenant: "team:t_1", Scopes: []string{"chat"},
		Secrets: []key.Secret{{Digest: key.NewToken(token).Digest()}},
	}
	for more, want := range map[string]string{"": "ALLOWED", "s": "KEY_MALFORMED"} {
		if got := w.check(t, get("/v1/chat", "authorization: Bearer "+token+more, "host: long.example")); got.reason != want {
			t.Errorf("%d characters: %s, want %s", len(token+more), got.reason, want)
		}
	}
}

var twoPlaces = []policy.Credential{{Header: "authorization", Bearer: true}, {Header: "x-api-key"}}

// TestEveryByteOfAToken: at each position, each byte but those of the
// alphabet makes a text that is no token; and no text but the token itself
// is the key's.
func TestEveryByteOfAToken(t *testing.T) {
	w := newWorld(t)
	token := tokens["key_full"]
	for at := range token {
		for b := range 256 {
			other := token[:at] + string([]byte{byte(b)}) + token[at+1:]
			inAlphabet := b == '-' || b == '_' || '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
			for _, place := range twoPlaces {
				value := other
				if place.Bearer {
					value = "Bearer " + other
				}
				text, reason := read(place, value, 1)
				if (reason == policy.Allowed) != inAlphabet || inAlphabet && text != other {
					t.Fatalf("byte %#x at %d in %s: %s", b, at, place.Header, reason)
				}
			}
			want := ""
			for id, of := range tokens {
				if of == other {
					want = id
				}
			}
			if got := w.check(t, envoy(raw, "GET", "/things", "x-api-key: "+other)); got.metadata["key_id"] != want && (want != "" || got.status != 401) {
				t.Fatalf("byte %#x at %d: %s, the key %v, want %q", b, at, got.reason, got.metadata["key_id"], want)
			}
		}
	}
}

// TestFormsAgree: what a credential is doesn't depend on how Envoy shows it.
func TestFormsAgree(t *testing.T) {
	w := newWorld(t)
	token := tokens["key_full"]
	piece := rapid.SampledFrom([]string{
		token, token, "Bearer ", "bearer ", "Bearer", "Basic ", " ", "\t", ",", ", ", "", "\xff", "é", "!", "x", token[:20], strings.Repeat("a", 256),
	})
	rapid.Check(t, func(t *rapid.T) {
		var headers []string
		for i := range rapid.IntRange(0, 4).Draw(t, "headers") {
			name := rapid.SampledFrom([]string{"authorization", "x-api-key", "x-other"}).Draw(t, fmt.Sprint("name", i))
			value := strings.Join(rapid.SliceOfN(piece, 0, 4).Draw(t, fmt.Sprint("value", i)), "")
			headers = append(headers, name+": "+value)
		}
		a, b := newRequest(envoy(mapped, "GET", "/things", headers...)), newRequest(envoy(raw, "GET", "/things", headers...))
		tokenA, reasonA := a.credential(w.acme())
		tokenB, reasonB := b.credential(w.acme())
		if reasonA != reasonB || tokenA.Reveal() != tokenB.Reveal() {
			t.Fatalf("%q: %s as a map, %s as a list", headers, reasonA, reasonB)
		}
		if n := tokenA.Reveal(); reasonA == policy.Allowed && !tokenText(n) || reasonA != policy.Allowed && n != "" {
			t.Fatalf("%q: %s with the token %q", headers, reasonA, n)
		}
		for _, place := range w.acme().Credentials() {
			if a.mayCarryCredential(place) != b.mayCarryCredential(place) {
				t.Fatalf("%q: %s is passed on in one form and removed in the other", headers, place.Header)
			}
		}
	})
}
