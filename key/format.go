package key

import (
	"hash/crc32"
	"strings"
)

// Alphabet is the set of characters that a secret may consist of.
type Alphabet uint8

// The alphabets. Tokens are minted from base62 in either case: a minted
// secret never holds a character that a double click would stop at.
const (
	Base62  Alphabet = iota // 0-9 A-Z a-z
	URLSafe                 // base62, '-' and '_'
)

// Base62Digits are the digits of base62, by value.
const Base62Digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// alphabets has, for each byte, a bit for each alphabet that it belongs to.
var alphabets = func() (of [256]uint8) {
	for _, c := range []byte(Base62Digits) {
		of[c] = 1<<Base62 | 1<<URLSafe
	}
	of['-'], of['_'] = 1<<URLSafe, 1<<URLSafe
	return of
}()

// Holds reports whether c belongs to the alphabet.
func (a Alphabet) Holds(c byte) bool { return alphabets[c]>>a&1 != 0 }

// HoldsAll reports whether every byte of the text belongs to the alphabet.
func (a Alphabet) HoldsAll(text string) bool {
	all := uint8(1) << a
	for i := range len(text) {
		all &= alphabets[text[i]]
	}
	return all != 0
}

// Lengths of the parts of a token, in characters.
const (
	ChecksumLength  = 6  // CRC-32 in base62
	MinMintLength   = 27 // 62^27 > 2^160
	MinImportLength = 22 // 62^22 > 2^128
)

// Format is one form that tokens have: a literal prefix (environment
// included), a secret of a fixed length, and a checksum or none.
type Format struct {
	Prefix       string
	SecretLength int
	Alphabet     Alphabet
	Checksum     bool
}

// Length returns how many characters a token of this form has.
func (f Format) Length() int {
	n := len(f.Prefix) + f.SecretLength
	if f.Checksum {
		n += ChecksumLength
	}
	return n
}

// Matches reports whether the text has this form and, where there is a
// checksum, whether it is right.
func (f Format) Matches(text string) bool {
	if len(text) != f.Length() || !strings.HasPrefix(text, f.Prefix) {
		return false
	}
	end := len(f.Prefix) + f.SecretLength
	if !f.Alphabet.HoldsAll(text[len(f.Prefix):end]) {
		return false
	}
	if !f.Checksum {
		return true
	}
	sum := Checksum(text[:end])
	return text[end:] == string(sum[:])
}

// Overlaps reports whether one text could have both forms.
func (f Format) Overlaps(g Format) bool {
	if f.Length() != g.Length() {
		return false
	}
	if len(f.Prefix) > len(g.Prefix) {
		f, g = g, f
	}
	if !strings.HasPrefix(g.Prefix, f.Prefix) {
		return false
	}
	// The rest of the longer prefix stands where f has its secret or checksum.
	for i := len(f.Prefix); i < len(g.Prefix); i++ {
		a := f.Alphabet
		if i >= len(f.Prefix)+f.SecretLength {
			a = Base62
		}
		if !a.Holds(g.Prefix[i]) {
			return false
		}
	}
	return true
}

// Checksum is CRC-32 (IEEE) of the text as six base62 digits, zero-padded. It
// is worked out by hand because tokens are checked by it on every request,
// and hash/crc32 takes bytes only, which would have to be copied.
func Checksum(text string) [ChecksumLength]byte {
	sum := ^uint32(0)
	for i := range len(text) {
		sum = crc32.IEEETable[byte(sum)^text[i]] ^ sum>>8
	}
	sum = ^sum
	var digits [ChecksumLength]byte
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = Base62Digits[sum%62]
		sum /= 62
	}
	return digits
}
