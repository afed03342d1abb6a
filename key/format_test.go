package key_test

import (
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/key/mint"
)

// The checksums here were computed by another program: CRC-32 as in zlib, in
// base62 with the digits 0-9 A-Z a-z, six of them.
func TestChecksum(t *testing.T) {
	for _, token := range []string{
		"kd_live_Ky9Pf34qY6Nb3wWD25RQ4F5ZR3qa7y" + "19eDoA",
		"kd_test_Eeeby3abP3E2Zs8IQ9Y7aJZqhB6bae" + "2eZViD",
		"sk_CN6Zj4a3dDVhYRnKTbxTNJFoBin" + "3GB91v",
		"pk_live_F5aJXVuLkSIc47WQAmL9xVQ2zg4mZaouqKLiMcVb" + "3wEB8r",
		"123456789" + "3jZRME",
		"z347" + "00YFqH", // leading zeros stay
		"a" + "4GEHKN",    // near the greatest of 32 bits
	} {
		prefix := token[:len(token)-key.ChecksumLength-min(1, len(token)-key.ChecksumLength)]
		f := key.Format{Prefix: prefix, SecretLength: len(token) - len(prefix) - key.ChecksumLength, Checksum: true}
		if !f.Matches(token) {
			t.Errorf("%s: the checksum is said to be wrong", token)
		}
		for i := len(prefix); i < len(token); i++ {
			if wrong := token[:i] + other(token[i]) + token[i+1:]; f.Matches(wrong) {
				t.Errorf("%s: the checksum is said to be right", wrong)
			}
		}
	}
}

// other returns another character of base62.
func other(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

func TestMatches(t *testing.T) {
	plain := key.Format{Prefix: "sk_", SecretLength: 4}
	safe := key.Format{Prefix: "sk_", SecretLength: 4, Alphabet: key.URLSafe}
	for _, test := range []struct {
		text        string
		plain, safe bool
	}{
		{"sk_aZ09", true, true},
		{"sk_a-_9", false, true},
		{"sk_aZ0", false, false},
		{"sk_aZ090", false, false},
		{"Sk_aZ09", false, false},
		{"sk-aZ09", false, false},
		{"aZ09", false, false},
		{"", false, false},
		{"sk_aZ0 ", false, false},
		{"sk_aZ0\n", false, false},
		{"sk_aZ0\x00", false, false},
		{"sk_aZ0=", false, false},
		{"sk_aZ\u00e9", false, false}, // two bytes
		{"sk_aZ0\u212a", false, false},
		{"sk_@`[{", false, false}, // next to the letters
		{"sk_/:^~", false, false}, // next to the digits
	} {
		if plain.Matches(test.text) != test.plain || safe.Matches(test.text) != test.safe {
			t.Errorf("%q: base62 %v, URL-safe %v", test.text, plain.Matches(test.text), safe.Matches(test.text))
		}
	}
}

// formats draws forms with prefixes that are likely to run into each other.
func formats() *rapid.Generator[key.Format] {
	return rapid.Custom(func(t *rapid.T) key.Format {
		return key.Format{
			Prefix:       rapid.StringMatching(`[ab_-]{0,4}`).Draw(t, "prefix"),
			SecretLength: rapid.IntRange(1, 40).Draw(t, "length"),
			Alphabet:     rapid.SampledFrom([]key.Alphabet{key.Base62, key.URLSafe}).Draw(t, "alphabet"),
			Checksum:     rapid.Bool().Draw(t, "checksum"),
		}
	})
}

func TestMintedTokensMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := formats().Draw(t, "format")
		token, err := mint.Token(f, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		text := token.Reveal()
		if !f.Matches(text) || len(text) != f.Length() || !strings.HasPrefix(text, f.Prefix) {
			t.Fatalf("%+v minted a token that it doesn't match", f)
		}
		// A prefix ends where it ends, so what is minted stops no double click.
		if strings.ContainsAny(text[len(f.Prefix):], "-_") {
			t.Fatalf("%+v minted more than base62", f)
		}
		at := rapid.IntRange(0, len(text)-1).Draw(t, "at")
		if f.Checksum {
			if wrong := text[:at] + other(text[at]) + text[at+1:]; f.Matches(wrong) {
				t.Fatalf("%+v: a change at %d isn't noticed", f, at)
			}
		}
		if f.Matches(text[:len(text)-1]) || f.Matches(text+"0") || f.Matches(" "+text[1:]) {
			t.Fatalf("%+v matches what is cut or longer", f)
		}
	})
}

func TestMintIsUniform(t *testing.T) {
	f := key.Format{SecretLength: 62 * 1000}
	token, err := mint.Token(f, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[rune]int{}
	for _, c := range token.Reveal() {
		counts[c]++
	}
	for c, n := range counts {
		if n < 800 || n > 1200 { // more than six standard deviations
			t.Errorf("%q comes %d times of 1000", c, n)
		}
	}
	if len(counts) != 62 {
		t.Errorf("%d characters are used", len(counts))
	}
}

func TestMintWithoutRandomness(t *testing.T) {
	f := key.Format{SecretLength: 100}
	broken := errors.New("no entropy")
	if _, err := mint.Token(f, iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if _, err := mint.Token(f, strings.NewReader("short")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v", err)
	}
	// Six ones of eight bits are no character: they are drawn again.
	if _, err := mint.Token(f, strings.NewReader(strings.Repeat("\xff", 640))); !errors.Is(err, io.EOF) {
		t.Errorf("error %v", err)
	}
}

func TestOverlaps(t *testing.T) {
	for _, test := range []struct {
		name string
		f, g key.Format
		want bool
	}{
		{"same", key.Format{Prefix: "sk_", SecretLength: 30}, key.Format{Prefix: "sk_", SecretLength: 30}, true},
		{"other lengths", key.Format{Prefix: "sk_", SecretLength: 30}, key.Format{Prefix: "sk_", SecretLength: 31}, false},
		{"other prefixes", key.Format{Prefix: "sk_", SecretLength: 30}, key.Format{Prefix: "pk_", SecretLength: 30}, false},
		{"underscore isn't base62", key.Format{Prefix: "sk_", SecretLength: 35}, key.Format{Prefix: "sk_live_", SecretLength: 30}, false},
		{"underscore is URL-safe", key.Format{Prefix: "sk_", SecretLength: 35, Alphabet: key.URLSafe}, key.Format{Prefix: "sk_live_", SecretLength: 30}, true},
		{"the longer one is URL-safe", key.Format{Prefix: "sk_", SecretLength: 35}, key.Format{Prefix: "sk_live_", SecretLength: 30, Alphabet: key.URLSafe}, false},
		{"letters", key.Format{Prefix: "sk", SecretLength: 34}, key.Format{Prefix: "sklive", SecretLength: 30}, true},
		{"checksum against none", key.Format{Prefix: "sk_", SecretLength: 30, Checksum: true}, key.Format{Prefix: "sk_", SecretLength: 36}, true},
		{"prefix in the checksum", key.Format{SecretLength: 1, Alphabet: key.URLSafe, Checksum: true}, key.Format{Prefix: "a_", SecretLength: 5}, false},
	} {
		if test.f.Overlaps(test.g) != test.want || test.g.Overlaps(test.f) != test.want {
			t.Errorf("%s: %v and %v, want %v", test.name, test.f.Overlaps(test.g), test.g.Overlaps(test.f), test.want)
		}
	}
}

// Whatever text two forms share, they are said to overlap.
func TestSharedTextsOverlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, g := formats().Draw(t, "f"), formats().Draw(t, "g")
		if rapid.Bool().Draw(t, "same length") {
			g.SecretLength = max(1, g.SecretLength+f.Length()-g.Length())
		}
		token, err := mint.Token(f, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		text := []byte(token.Reveal())
		if end := len(g.Prefix); end <= len(text) && !g.Checksum && !f.Checksum {
			copy(text, g.Prefix)
		}
		if f.Matches(string(text)) && g.Matches(string(text)) && !f.Overlaps(g) {
			t.Fatalf("%q has both forms", text)
		}
		if f.Overlaps(g) != g.Overlaps(f) {
			t.Fatal("it depends on who is asked")
		}
		if !f.Overlaps(f) {
			t.Fatal("a form doesn't overlap itself")
		}
	})
}
