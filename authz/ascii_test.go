package authz

import (
	"strings"
	"testing"
)

// TestASCII holds the words against each byte by itself: every byte, at every
// place of texts of every length up to three words.
func TestASCII(t *testing.T) {
	for length := range 25 {
		for at := range max(length, 1) {
			for b := range 256 {
				text := []byte(strings.Repeat("z", length))
				if length > 0 {
					text[at] = byte(b)
				}
				s := string(text)
				inASCII := !strings.ContainsFunc(latin1(s), func(c rune) bool { return c >= 0x80 })
				plain := inASCII && strings.ToLower(s) == s
				printable := !strings.ContainsFunc(latin1(s), func(c rune) bool { return c < ' ' || c > '~' })
				if isASCII(s) != inASCII || isPlain(s) != plain || isPrintable(s) != printable {
					t.Fatalf("%q: ASCII %v, plain %v, printable %v", s, isASCII(s), isPlain(s), isPrintable(s))
				}
			}
		}
	}
}

// latin1 has a rune for each byte.
func latin1(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteRune(rune(s[i]))
	}
	return b.String()
}
