package policy

import "unicode/utf8"

// Bounds of a path that is looked at, without its query.
const (
	maxPathLength = 8 << 10
	maxSegments   = 256
)

// Verbatim says whether a path is the very bytes that the client sent (raw)
// or Envoy's rendering of them, in which every byte that isn't UTF-8 is '!'.
type Verbatim bool

// CleanPath reports whether the path, without its query, means one thing to
// every server that may read it. It is judged by byte and never repaired.
// What passes: '/', unreserved characters and $&'()*+,=:@, no empty segment
// but a last one, no dot segment. '!' passes only where the path is verbatim.
// Percent escapes pass only where the policy allows them, and then never
// those of / \ . % ; of controls, of bytes that aren't UTF-8, or of
// characters that need none.
func (p *Policy) CleanPath(path string, verbatim Verbatim) bool {
	if path == "" || path[0] != '/' || len(path) > maxPathLength {
		return false
	}
	segments := 0
	for i := 0; i < len(path); {
		c := path[i]
		switch {
		case c == '/':
			if segments++; segments > maxSegments {
				return false
			}
			if badSegment(path[i+1:]) {
				return false
			}
			i++
		case pathByte(c), c == '!' && bool(verbatim):
			i++
		case c == '%' && p.percentEscapes:
			n := cleanEscape(path[i:])
			if n == 0 {
				return false
			}
			i += n
		default:
			return false
		}
	}
	return true
}

// badSegment reports whether the segment that begins here is a dot segment,
// or empty without being the last.
func badSegment(rest string) bool {
	end := 0
	for end < len(rest) && rest[end] != '/' {
		if rest[end] != '.' || end > 1 {
			return false
		}
		end++
	}
	return end > 0 || len(rest) > 0
}

// pathByte reports whether the byte may stand in any path as itself.
func pathByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	switch c {
	case '-', '.', '_', '~', '$', '&', '\'', '(', ')', '*', '+', ',', '=', ':', '@':
		return true
	}
	return false
}

// cleanEscape returns the length of the percent escapes of one character at
// the start of the text, or 0 where they may not stand in a path.
func cleanEscape(text string) int {
	var raw [utf8.UTFMax]byte
	n := 0
	for !utf8.FullRune(raw[:n]) { // four bytes always are one, if not a valid one
		b, ok := escapedByte(text[3*n:])
		if !ok {
			return 0
		}
		raw[n] = b
		n++
	}
	r, size := utf8.DecodeRune(raw[:n])
	switch {
	case r == utf8.RuneError || size != n:
		return 0
	case r < 0x20, 0x7f <= r && r < 0xa0: // controls
		return 0
	case r == '/', r == '\\', r == '%', r == ';', r == '!':
		return 0
	case r < utf8.RuneSelf && pathByte(byte(r)): // needs no escape; '.' is among these
		return 0
	}
	return 3 * n
}

// escapedByte decodes the percent escape at the start of the text.
func escapedByte(text string) (byte, bool) {
	if len(text) < 3 || text[0] != '%' {
		return 0, false
	}
	hi, ok1 := hexDigit(text[1])
	lo, ok2 := hexDigit(text[2])
	return hi<<4 | lo, ok1 && ok2
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// Segment returns the n-th segment of a clean path, from 0.
func Segment(path string, n int) string {
	start := 1
	for i := 1; i <= len(path); i++ {
		if i == len(path) || path[i] == '/' {
			if n == 0 {
				return path[start:i]
			}
			n--
			start = i + 1
		}
	}
	return ""
}
