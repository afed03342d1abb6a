package policy_test

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/key/mint"
	"github.com/latchkey/latchkey/policy"
)

func TestFormats(t *testing.T) {
	for _, tc := range []struct {
		format, more, environment string
		want                      key.Format
	}{
		{"sk_{secret:32}", "", "", key.Format{Prefix: "sk_", SecretLength: 32}},
		{"s{secret:27}", "", "", key.Format{Prefix: "s", SecretLength: 27}},
		{"sk_{secret:30 base62}", "", "", key.Format{Prefix: "sk_", SecretLength: 30}},
		{"sk_{secret:43 urlsafe}", "", "", key.Format{Prefix: "sk_", SecretLength: 43, Alphabet: key.URLSafe}},
		{"sk_{secret:32}{checksum}", "", "", key.Format{Prefix: "sk_", SecretLength: 32, Checksum: true}},
		{"a-B_9{secret:200}{checksum}", "", "", key.Format{Prefix: "a-B_9", SecretLength: 200, Checksum: true}},
		{"sk_{environment}_{secret:32}", living, "live", key.Format{Prefix: "sk_live_", SecretLength: 32}},
		{"sk_{environment}_{secret:32}", living, "test", key.Format{Prefix: "sk_test_", SecretLength: 32}},
		{"{environment}{secret:32}", living, "live", key.Format{Prefix: "live", SecretLength: 32}},
	} {
		typ := compile(t, formed(tc.format), tc.more).Type("k")
		if got, ok := typ.Format(tc.environment); !ok || got != tc.want {
			t.Errorf("%s in %q: got %+v %v, want %+v", tc.format, tc.environment, got, ok, tc.want)
		}
		for _, env := range []string{"dev", "Live", tc.environment + "x"} {
			if got, ok := typ.Format(env); ok || got != (key.Format{}) {
				t.Errorf("%s has a form in %q: %+v", tc.format, env, got)
			}
		}
		if _, ok := typ.Format(""); ok != (tc.more == "") {
			t.Errorf("%s without an environment: %v", tc.format, ok)
		}
	}
}

// some is n characters of a secret.
func some(n int) string { return strings.Repeat("aZ09bY18", n/8+1)[:n] }

// Which tokens are looked up, and as a token of which type and environment.
func TestTokens(t *testing.T) {
	p := compile(t, named, hasOrg, hasScopes, hasRoute, living,
		`key_types { name: "sk" format: "sk_{environment}_{secret:32}" owner: "org" scopes: "read" former_formats: "old_{environment}_{secret:22}" former_formats: "older_{secret:24 urlsafe}" }`,
		`key_types { name: "usk" format: "usk_{environment}_{secret:32}" owner: "org" scopes: "read" }`,
		`key_types { name: "safe" format: "sf_{environment}_{secret:40 urlsafe}" owner: "org" scopes: "read" former_formats: "sf_{environment}_x{secret:39}" }`,
		`key_types { name: "summed" format: "ck_{environment}_{secret:30}{checksum}" owner: "org" scopes: "read" }`)
	for typ, prefix := range map[string]string{"sk": "sk_test_", "safe": "sf_test_"} {
		if f, ok := p.Type(typ).Format("test"); !ok || f.Prefix != prefix {
			t.Errorf("new tokens of %s begin with %s: former forms are not minted", typ, f.Prefix)
		}
	}
	form, _ := p.Type("summed").Format("test")
	minted, err := mint.Token(form, zeros{})
	if err != nil {
		t.Fatal(err)
	}
	summed := minted.Reveal()
	for token, want := range map[string]string{
		"sk_live_" + some(32):                         "sk live sk_live_",
		"sk_test_" + some(32):                         "sk test sk_test_",
		"usk_live_" + some(32):                        "usk live usk_live_",
		"old_test_" + some(22):                        "sk test old_test_",
		"older_" + some(22) + "_-":                    "sk live older_", // no environment in it: the first
		"sf_live_" + some(38) + "_-":                  "safe live sf_live_",
		"sf_live__" + some(38) + "-":                  "safe live sf_live_",
		"sf_test_sf_test_" + some(32):                 "safe test sf_test_",
		"sf_test_x" + some(38) + "-":                  "safe test sf_test_",
		"sf_test_x" + some(39):                        "safe test sf_test_x", // both of one type: the longer prefix
		summed:                                        "summed test ck_test_",
		"":                                            "",
		"sk_":                                         "",
		"sk_live_":                                    "",
		"sk_live_" + some(31):                         "",
		"sk_live_" + some(33):                         "",
		"sk_dev_" + some(32):                          "",
		"sk_" + some(32):                              "",
		"sk__" + some(32):                             "",
		"SK_LIVE_" + some(32):                         "",
		"sk_live_" + some(31) + "_":                   "", // no _ in base62
		"sk_live_" + some(31) + "-":                   "",
		"sk_live_" + some(31) + " ":                   "",
		"sk_live_" + some(31) + "\x00":                "",
		"sk_live_" + some(31) + "é":                   "",
		"xsk_live_" + some(32):                        "", // anchored
		" sk_live_" + some(32):                        "",
		"usk_test_" + some(31):                        "",
		"old_test_" + some(21):                        "",
		"older_" + some(25):                           "",
		summed[:len(summed)-1] + "!":                  "",
		summed[:len(summed)-6] + "000000":             "",
		strings.Replace(summed, "ck_t", "ck_T", 1):    "",
		strings.Replace(summed, "test", "live", 1):    "", // the sum is over the prefix too
		summed[:8] + "1" + summed[9:]:                 "",
		strings.Repeat("sk_live_"+some(32), 1000)[:9]: "",
	} {
		got := ""
		for _, typ := range p.Types() {
			if f, env, ok := p.FormatOf(p.Type(typ), key.NewToken(token)); ok {
				got = fmt.Sprintf("%s%s %s %s", got, typ, env, f.Prefix)
			} else if env != "" || f != (key.Format{}) {
				t.Errorf("%q: what isn't a form is %+v in %q", token, f, env)
			}
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", token, got, want)
		}
		if p.WellFormed(key.NewToken(token)) != (want != "") {
			t.Errorf("%q: well formed is %v", token, want == "")
		}
		if want == "" {
			continue
		}
		for _, glued := range []string{token, "x-" + token, "key_" + token + "_2", "a" + token, token + "-old", "see " + token + ", please"} {
			if !p.HoldsToken(glued) {
				t.Errorf("%q: no token is seen in it", glued)
			}
		}
		if p.HoldsToken(token[:len(token)-1]) {
			t.Errorf("%q without its end: a token is seen in it", token)
		}
	}
	for _, text := range []string{"", "sk_live_", strings.Repeat("sk_live_", 9), "key_0123456789abcdef0123456789abcdef", "sk_live_" + some(64)} {
		if p.HoldsToken(text) {
			t.Errorf("%q: a token is seen in it", text)
		}
	}
}

// Any types that one policy may have: what is minted of one is well formed and
// is of that type and environment alone.
func TestMintedTokensFitTheirTypeAlone(t *testing.T) {
	tried := 0
	rapid.Check(t, func(r *rapid.T) {
		doc := named + hasOrg + hasScopes + hasRoute
		environments, word := []string{""}, ""
		if rapid.Bool().Draw(r, "environments") {
			environments, word = []string{"live", "test"}, "{environment}"
			doc += living
		}
		for i := range rapid.IntRange(1, 4).Draw(r, "types") {
			prefix := rapid.StringMatching(`[ax_]{1,3}`).Draw(r, "prefix")
			secret := fmt.Sprintf("{secret:%d%s}", rapid.IntRange(27, 30).Draw(r, "length"), rapid.SampledFrom([]string{"", " urlsafe"}).Draw(r, "alphabet"))
			checksum := rapid.SampledFrom([]string{"", "{checksum}"}).Draw(r, "checksum")
			doc += fmt.Sprintf("key_types { name: \"t%d\" format: %q owner: \"org\" scopes: \"read\" }\n", i, prefix+word+secret+checksum)
		}
		p, err := policy.Compile(document(t, doc))
		if err != nil {
			if !strings.Contains(err.Error(), "one token could be of the type") {
				r.Fatal(err)
			}
			return
		}
		tried++
		for _, name := range p.Types() {
			for _, env := range environments {
				form, ok := p.Type(name).Format(env)
				if !ok {
					r.Fatalf("%s has no form in %q", name, env)
				}
				token, err := mint.Token(form, rand.Reader)
				if err != nil {
					r.Fatal(err)
				}
				if !p.WellFormed(token) {
					r.Fatalf("a token of %s is not well formed:\n%s", name, doc)
				}
				for _, other := range p.Types() {
					if _, in, ok := p.FormatOf(p.Type(other), token); ok != (other == name) || ok && in != env {
						r.Fatalf("a token of %s in %q is of %s in %q, %v:\n%s", name, env, other, in, ok, doc)
					}
				}
				if last := token.Reveal()[:form.Length()-1]; p.WellFormed(key.NewToken(last)) && len(p.Types()) == 1 {
					r.Fatalf("a token that lacks its end is well formed:\n%s", doc)
				}
			}
		}
	})
	if tried < 20 && !testing.Short() {
		t.Errorf("only %d policies could be tried", tried)
	}
}
