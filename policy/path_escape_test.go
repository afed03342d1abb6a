package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// escapable are the ASCII characters that an escape may stand for: printable,
// in need of one, and none that a server might take for structure.
const escapable = " \"#<>?[]^`{|}"

// escaped writes every byte as a percent escape.
func escaped(text, format string) string {
	var b strings.Builder
	for i := range len(text) {
		fmt.Fprintf(&b, format, text[i])
	}
	return b.String()
}

func TestEscapesOfOneByte(t *testing.T) {
	off, on := strict(t), lenient(t)
	for b := range 256 {
		c := string([]byte{byte(b)})
		for _, escape := range []string{escaped(c, "%%%02x"), escaped(c, "%%%02X")} {
			for _, path := range []string{"/" + escape, "/a" + escape + "b/c", "/a/" + escape + "/c", "/a/bc" + escape, "/" + escape + escape} {
				if off.CleanPath(path, rendered) || off.CleanPath(path, raw) {
					t.Errorf("%q is clean where no escapes are allowed", path)
				}
				want := strings.Contains(escapable, c) && b < utf8.RuneSelf
				if got := on.CleanPath(path, rendered); got != want {
					t.Errorf("%q: got %v, want %v", path, got, want)
				}
				if on.CleanPath(path, raw) != want {
					t.Errorf("%q is judged differently where the path is verbatim", path)
				}
			}
		}
	}
}

// Every character beyond ASCII, as the escapes of its UTF-8. Controls and the
// character that stands for broken bytes may not pass.
func TestEscapesOfEveryCharacter(t *testing.T) {
	p := lenient(t)
	for r := rune(0x80); r <= utf8.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		var path [1 + 3*utf8.UTFMax]byte
		text := append(path[:0], '/')
		for _, c := range []byte(string(r)) {
			text = append(text, '%', "0123456789ABCDEF"[c>>4], "0123456789abcdef"[c&15])
		}
		if got, want := p.CleanPath(string(text), rendered), r >= 0xa0 && r != utf8.RuneError; got != want {
			t.Errorf("%U as %s: got %v, want %v", r, text, got, want)
		}
	}
}

// Every pair of escaped bytes that begins beyond ASCII.
func TestEscapesOfTwoBytes(t *testing.T) {
	p := lenient(t)
	for first := 0x80; first < 256; first++ {
		for second := range 256 {
			text := string([]byte{byte(first), byte(second)})
			r, size := utf8.DecodeRuneInString(text)
			want := size == 2 && r >= 0xa0
			if got := p.CleanPath("/a"+escaped(text, "%%%02X")+"b", rendered); got != want {
				t.Errorf("%%%02X%%%02X: got %v, want %v", first, second, got, want)
			}
		}
	}
}

func TestEscapesThatAreNone(t *testing.T) {
	p := lenient(t)
	for _, path := range []string{
		"/%", "/a%", "/%2", "/%/", "/%2/0", "/a%C3", "/%C3%", "/%C3%A", "/%C3/%A9", "/%C3a%A9", "/%C3%A9%", "/%C3\xa9", "/%C3é",
		"/\xc3%A9",                                         // half of it raw
		"/%u002e", "/%zz", "/%0g", "/%g0", "/%-1", "/% 20", // not hexadecimal
		"/%%20", "/%2%30", "/%252e", "/%25", // escapes of escapes
		"/%C0%AE", "/%C0%AF", "/%C1%9C", "/%E0%80%AF", "/%E0%80%AE", "/%F0%80%80%AF", "/%C0%80", // overlong
		"/%ED%A0%80", "/%ED%BF%BF", "/%ED%A0%80%ED%B0%80", // surrogates
		"/%F4%90%80%80", "/%F5%80%80%80", "/%FE", "/%FF", // beyond Unicode
		"/%80", "/%BF", "/%A9%C3", "/%E2%82", "/%E2%82a", "/%F0%9F%98", // a continuation alone, or missing
		"/%C2%80", "/%C2%85", "/%C2%9F", "/%7F", "/%00", "/%1f", "/%0d%0a", "/%09", // controls
		"/%EF%BF%BD",                                  // what broken bytes are replaced by
		"/%2e", "/%2E%2e", "/%2e/", "/.%2e", "/a%2e/", // dots
		"/%2f", "/%2F", "/%5c", "/%5C", "/%3b", "/%3B", "/a%2Fb", "/%2e%2e;", "/%21",
		"/%61", "/%41", "/%30", "/%7e", "/%7E", "/%6d", "/%2d", "/%5f", "/%3a", "/%40", "/%2a", // in no need of one
	} {
		if p.CleanPath(path, raw) || p.CleanPath(path, rendered) {
			t.Errorf("%q is clean", path)
		}
	}
	for b := range 256 {
		c := string([]byte{byte(b)})
		if strings.Contains("0123456789abcdefABCDEF", c) {
			continue
		}
		for _, path := range []string{"/%" + c + "0", "/%2" + c, "/%C3%" + c + "9", "/%C3%A" + c, "/%C3" + c + "A9"} {
			if c != "%" && p.CleanPath(path, raw) {
				t.Errorf("%q is clean", path)
			}
		}
	}
}

func TestEscapesThatPass(t *testing.T) {
	p := lenient(t)
	for _, path := range []string{
		"/%20", "/a%20b", "/%22", "/%3F", "/%23", "/%5B%5D", "/%7b%7D", "/%7C", "/%5e", "/%60", "/%3c%3E",
		"/%C3%A9", "/%c3%a9", "/%E2%82%AC", "/%F0%9F%98%80", "/%C2%A0", "/%F4%8F%BF%BF", "/%EE%80%80", "/%C3%A9%20%E2%82%AC/x",
	} {
		if !p.CleanPath(path, raw) || !p.CleanPath(path, rendered) {
			t.Errorf("%q is not clean", path)
		}
	}
}

// An escape is never decoded: it is compared by byte, like all else.
func TestEscapesAreNotDecoded(t *testing.T) {
	p := compile(t, named, hasOrg, hasScopes, hasType, "percent_escapes: true", endpoints([]string{"GET /a/{name}", "GET /a/b"}))
	r := p.Match("GET", "/a/x%20y")
	if r == nil || r.Text != "GET /a/{name}" {
		t.Fatalf("an escape does not match a parameter: %+v", r)
	}
	if got, _ := r.Param("/a/x%20y", "name"); got != "x%20y" {
		t.Errorf("the parameter is %q", got)
	}
}
