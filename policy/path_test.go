package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/policy"
)

const (
	raw      = policy.Verbatim(true)
	rendered = policy.Verbatim(false)
)

// plainBytes are what any path may hold, beside the slash.
const plainBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~$&'()*+,=:@"

// strict is a policy without percent escapes, lenient one with them.
func strict(t testing.TB) *policy.Policy  { return compile(t, minimal) }
func lenient(t testing.TB) *policy.Policy { return compile(t, minimal, "percent_escapes: true") }

// Every byte at every place of a segment, whoever sends it.
func TestCleanPathByByte(t *testing.T) {
	policies := map[string]*policy.Policy{"no escapes": strict(t), "escapes": lenient(t)}
	for b := range 256 {
		c := string([]byte{byte(b)})
		for _, verbatim := range []policy.Verbatim{raw, rendered} {
			ok := strings.Contains(plainBytes, c) || c == "!" && verbatim == raw
			for path, want := range map[string]bool{
				"/a/" + c + "cd/e":     ok,
				"/a/c" + c + "d/e":     ok || c == "/",
				"/a/cd" + c + "/e":     ok,
				"/" + c + "cd":         ok,
				"/cd" + c:              ok || c == "/",
				"/a/cd/e" + c + "z":    ok || c == "/",
				"/a/" + c + "/e":       ok && c != ".",
				"/a/" + c + c + "/e":   ok && c != ".",
				"/a/" + c + c + c + "": ok,
				"/" + c:                ok && c != ".",
				c:                      c == "/",
				c + "a":                c == "/",
			} {
				for escapes, p := range policies {
					if got := p.CleanPath(path, verbatim); got != want {
						t.Errorf("byte %#02x in %q, verbatim %v, %s: got %v, want %v", b, path, verbatim, escapes, got, want)
					}
				}
			}
		}
	}
}

func TestCleanPathSegments(t *testing.T) {
	strict, lenient := strict(t), lenient(t)
	for path, want := range map[string]bool{
		"": false, "*": false, "?x": false, "a": false, "a/b": false, "http://h/a": false,
		"/": true, "//": false, "///": false, "/a": true, "/a/": true, "/a//": false, "//a": false, "/a//b": false,
		"/.": false, "/..": false, "/./": false, "/../": false, "/a/.": false, "/a/..": false, "/a/./b": false, "/a/../b": false,
		"/./a": false, "/../a": false, "/a/b/..": false, "/a/b/.": false, "/...": true, "/.../a": true, "/a/....": true,
		"/.a": true, "/..a": true, "/a.": true, "/a..": true, "/a/..b/c": true, "/a/b../c": true, "/a/.b": true, "/.well-known/x": true,
		"/a?": false, "/a?b": false, "/a#": false, "/a;b": false, "/a;": false, "/;/a": false, "/..;/a": false, "/..;a=b/c": false,
		`/a\b`: false, `/\`: false, `/..\a`: false, "/a%": false, "/a%2": false, "/a%2f": false, "/a b": false, "/a\tb": false,
		"/a[b": false, "/a]b": false, "/{a}": false, "/a|b": false, "/a^b": false, "/a`b": false, `/a"b`: false, "/a<b>": false,
		"/ä": false, "/a\x00": false, "/a\r\n": false,
	} {
		if got := strict.CleanPath(path, rendered); got != want {
			t.Errorf("%q: got %v, want %v", path, got, want)
		}
		if got := lenient.CleanPath(path, rendered); got != want {
			t.Errorf("%q with percent escapes allowed: got %v, want %v", path, got, want)
		}
	}
}

func TestCleanPathBounds(t *testing.T) {
	for _, tc := range []struct {
		what string
		path string
		want bool
	}{
		{"8 KiB", "/" + strings.Repeat("a", 8191), true},
		{"8 KiB and one", "/" + strings.Repeat("a", 8192), false},
		{"256 segments", strings.Repeat("/a", 256), true},
		{"257 segments", strings.Repeat("/a", 257), false},
		{"255 segments and a slash", strings.Repeat("/a", 255) + "/", true},
		{"256 segments and a slash", strings.Repeat("/a", 256) + "/", false},
		{"8 KiB of 256 segments", strings.Repeat("/"+strings.Repeat("a", 31), 256), true},
		{"dots for ever", "/" + strings.Repeat(".", 8191), true},
		{"60 KB", "/" + strings.Repeat("a", 60_000), false},
	} {
		if got := strict(t).CleanPath(tc.path, rendered); got != tc.want {
			t.Errorf("%s (%d bytes): got %v, want %v", tc.what, len(tc.path), got, tc.want)
		}
	}
	if path := "/" + strings.Repeat("%20", 2730) + "a"; len(path) != 8192 || !lenient(t).CleanPath(path, rendered) {
		t.Errorf("%d bytes of escapes are not clean", len(path))
	}
	if path := "/" + strings.Repeat("%20", 2731); len(path) <= 8192 || lenient(t).CleanPath(path, rendered) {
		t.Errorf("%d bytes of escapes are clean: the bound is about bytes as they are sent", len(path))
	}
}

func TestSegment(t *testing.T) {
	for _, tc := range []struct {
		path string
		n    int
		want string
	}{
		{"/", 0, ""},
		{"/a", 0, "a"},
		{"/a", 1, ""},
		{"/a/bc/d", 0, "a"},
		{"/a/bc/d", 1, "bc"},
		{"/a/bc/d", 2, "d"},
		{"/a/bc/d", 3, ""},
		{"/a/", 0, "a"},
		{"/a/", 1, ""},
		{"/a/", 2, ""},
		{"", 0, ""},
	} {
		if got := policy.Segment(tc.path, tc.n); got != tc.want {
			t.Errorf("segment %d of %q: got %q, want %q", tc.n, tc.path, got, tc.want)
		}
	}
	path := "/s0"
	for i := 1; i < 256; i++ {
		path += fmt.Sprintf("/s%d", i)
	}
	for i := range 256 {
		if got := policy.Segment(path, i); got != fmt.Sprintf("s%d", i) {
			t.Errorf("segment %d of 256: got %q", i, got)
		}
	}
}
