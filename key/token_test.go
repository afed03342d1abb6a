package key_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/key"
)

const secretText = "kd_live_example"

func TestTokenIsRedacted(t *testing.T) {
	token := key.NewToken(secretText)
	type holder struct {
		Name  string
		Token key.Token
		Ref   *key.Token
		inner key.Token // fmt asks no method of such a field
	}
	held := holder{"ci", token, &token, token}
	var printed []string
	for _, verb := range strings.Split("v +v #v s q x X d t b o O c U e f g p T w 10s -20q .3s 08x", " ") {
		for _, value := range []any{token, &token, held, &held, []key.Token{token}, map[string]key.Token{"a": token}, [1]key.Token{token}} {
			printed = append(printed, fmt.Sprintf("%"+verb, value))
		}
	}
	printed = append(printed, fmt.Sprint(token, held), fmt.Sprintln(token), fmt.Errorf("failed: %v", token).Error(), token.String(), token.GoString())
	for _, value := range []any{token, &token, held, map[string]any{"token": token}} {
		text, err := json.Marshal(value)
		if err != nil {
			t.Errorf("json: %v", err)
		}
		printed = append(printed, string(text))
	}
	var log bytes.Buffer
	for _, logger := range []*slog.Logger{slog.New(slog.NewTextHandler(&log, nil)), slog.New(slog.NewJSONHandler(&log, nil))} {
		logger.Info("used", "token", token, "pointer", &token, "held", held, "all", []key.Token{token})
		logger.With("token", token).WithGroup("g").Info(token.String(), slog.Group("h", slog.Any("token", token)))
	}
	printed = append(printed, log.String())
	for _, text := range printed {
		for _, shape := range []string{secretText, fmt.Sprintf("%x", secretText), fmt.Sprintf("%X", secretText), "example"} {
			if strings.Contains(text, shape) {
				t.Errorf("the token shows in %q", text)
			}
		}
	}
	if got := fmt.Sprintf("%v %s %q", token, token, token); got != "[redacted] [redacted] [redacted]" {
		t.Errorf("printed %q", got)
	}
	if token.Reveal() != secretText {
		t.Error("Reveal doesn't")
	}
	if text := (key.Token{}).Reveal(); text != "" || (key.Token{}).Digest() != key.NewToken("").Digest() {
		t.Errorf("the zero token reads %q", text)
	}
}

func TestDigest(t *testing.T) {
	// From sha256sum.
	const want = "3b651decd159e57023f9657ab6ecbe4dcaea4595b4835528624a01bfa636cde0"
	d, err := key.ParseDigest(want)
	if err != nil || d != key.NewToken(secretText).Digest() {
		t.Errorf("digest %x, %v", d[:], err)
	}
	if upper, err := key.ParseDigest(strings.ToUpper(want)); err != nil || upper != d {
		t.Errorf("in capitals: %x, %v", upper[:], err)
	}
	if got := d.String(); got != "3b651dec…" {
		t.Errorf("printed %q", got)
	}
	for _, bad := range []string{"", want[1:], want + "0", "g" + want[1:], "0x" + want[2:], strings.Repeat("é", 32)} {
		if _, err := key.ParseDigest(bad); err == nil {
			t.Errorf("%q is taken for a digest", bad)
		}
	}
}

func TestParseDigestDoesNotEchoATokenInItsPlace(t *testing.T) {
	token := "kd_live_" + strings.Repeat("x", 56) // as long as a digest
	for _, text := range []string{token, token[:40]} {
		if _, err := key.ParseDigest(text); err == nil || strings.Contains(err.Error(), "kd_live") || strings.Contains(err.Error(), "xxx") {
			t.Errorf("error %v", err)
		}
	}
}

func TestLast4(t *testing.T) {
	for text, want := range map[string]string{"": "", "abc": "", "abcd": "abcd", "abcde": "bcde"} {
		if got := key.NewToken(text).Last4(); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func FuzzToken(f *testing.F) {
	for _, text := range []string{"sk_CN6Zj4a3dDVhYRnKTbxTNJFoBin3GB91v", "sk_", "", "z34700YFqH", "sk_\xff\x00", "kd_live_Ky9Pf34qY6Nb3wWD25RQ4F5ZR3qa7y19eDoA"} {
		f.Add(text, "sk_", 27, true, false)
		f.Add(text, "kd_live_", 30, true, true)
		f.Add(text, "", len(text), false, true)
	}
	f.Fuzz(func(t *testing.T, text, prefix string, length int, sum, safe bool) {
		if length < 0 || length > key.MaxTokenLength {
			return
		}
		form := key.Format{Prefix: prefix, SecretLength: length, Checksum: sum}
		if safe {
			form.Alphabet = key.URLSafe
		}
		if !form.Matches(text) {
			return
		}
		if len(text) != form.Length() || !strings.HasPrefix(text, prefix) {
			t.Errorf("%q matches %+v", text, form)
		}
		for _, c := range []byte(text[len(prefix):]) {
			if !key.URLSafe.Holds(c) {
				t.Errorf("%q with the byte %x matches %+v", text, c, form)
			}
		}
		if !form.Overlaps(form) {
			t.Errorf("%+v doesn't overlap itself", form)
		}
		// A form that matches with a checksum matches without, as a longer secret.
		if sum && !(key.Format{Prefix: prefix, SecretLength: length + key.ChecksumLength, Alphabet: form.Alphabet}).Matches(text) {
			t.Errorf("%q has a checksum that isn't text", text)
		}
	})
}
