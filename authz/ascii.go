package authz

// Text is looked at eight bytes at a time: of all that is done to a request,
// this is done to the most bytes. A byte in ASCII leaves the highest bit free,
// so that an addition to it can't reach the next byte.
const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// isASCII reports whether the text is in ASCII.
func isASCII(s string) bool {
	if len(s) < 8 {
		return few(s)&highs == 0
	}
	all := word(s[len(s)-8:])
	for ; len(s) > 8; s = s[8:] {
		all |= word(s)
	}
	return all&highs == 0
}

// isPlain reports whether the text is in ASCII, and without capitals.
func isPlain(s string) bool {
	if len(s) < 8 {
		return notPlain(few(s)) == 0
	}
	found := notPlain(word(s[len(s)-8:]))
	for ; len(s) > 8; s = s[8:] {
		found |= notPlain(word(s))
	}
	return found == 0
}

func notPlain(w uint64) uint64 {
	low := w &^ highs
	fromA, afterZ := low+(0x80-'A')*ones, low+(0x80-'Z'-1)*ones
	return (w | fromA&^afterZ) & highs
}

// isPrintable reports whether the text is in printable ASCII.
func isPrintable(s string) bool {
	if len(s) < 8 {
		return notPrintable(few(s)) == 0
	}
	found := notPrintable(word(s[len(s)-8:]))
	for ; len(s) > 8; s = s[8:] {
		found |= notPrintable(word(s))
	}
	return found == 0
}

func notPrintable(w uint64) uint64 {
	low := w &^ highs
	fromSpace, afterTilde := low+(0x80-' ')*ones, low+(0x80-'~'-1)*ones
	return (w | ^fromSpace | afterTilde) & highs
}

// word is the first eight bytes of a text.
func word(s string) uint64 { return uint64(half(s)) | uint64(half(s[4:]))<<32 }

// half is the first four.
func half(s string) uint32 {
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

// few is a text of less than eight bytes as a word in which some of its bytes
// stand more than once, and nothing else does. An empty text is a word of spaces.
func few(s string) uint64 {
	switch {
	case len(s) >= 4:
		return uint64(half(s)) | uint64(half(s[len(s)-4:]))<<32
	case s == "":
		return ' ' * ones
	}
	first, middle, last := uint64(s[0]), uint64(s[len(s)/2]), uint64(s[len(s)-1])
	return first*(ones&^0xffff) | middle<<8 | last
}
