package key

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"

	"github.com/latchkey/latchkey/internal/alias"
)

// MaxTokenLength is the longest token that is looked at, in bytes. A longer
// one is malformed, whatever it holds.
const MaxTokenLength = 256

// Token is what a client presents. It prints as "[redacted]" wherever it is
// formatted, logged or marshalled; Reveal gives the text. Two tokens are
// compared by their digests: == is no comparison of texts.
//
// The text is behind a pointer, because there are values that package fmt
// prints without asking them: a field that isn't exported, and any value with
// a verb such as %w in the wrong place. It follows no pointer there.
type Token struct{ text *string }

// NewToken wraps the text of a token.
func NewToken(text string) Token { return Token{&text} }

// TokenAt wraps the text of a token where it is. It is NewToken without memory
// of its own, for a caller that keeps the text as long as the token.
func TokenAt(text *string) Token { return Token{text} }

// Reveal returns the token's text. Its callers are the few places that a
// token is meant to reach: a format, a digest, an answer to its owner.
func (t Token) Reveal() string {
	if t.text == nil {
		return ""
	}
	return *t.text
}

// Digest returns the digest by which the token is stored and found.
func (t Token) Digest() Digest { return sha256.Sum256(alias.Bytes(t.Reveal())) }

// Last4 returns the last four characters, or nothing of a shorter token.
func (t Token) Last4() string {
	text := t.Reveal()
	if len(text) < 4 {
		return ""
	}
	return text[len(text)-4:]
}

// Redacted is what stands in the place of a token wherever text is written down.
const Redacted = "[redacted]"

// String returns "[redacted]".
func (Token) String() string { return Redacted }

// GoString returns "[redacted]".
func (Token) GoString() string { return Redacted }

// Format writes "[redacted]" for every verb.
func (Token) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(Redacted)) }

// LogValue returns "[redacted]".
func (Token) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalText returns "[redacted]".
func (Token) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// Digest is the SHA-256 of a token: what is stored of it and what is looked up.
type Digest [sha256.Size]byte

// String returns the first bytes in hex, enough to tell digests apart in a message.
func (d Digest) String() string { return hex.EncodeToString(d[:4]) + "…" }

// ParseDigest reads a digest written as 64 hexadecimal digits.
func ParseDigest(text string) (Digest, error) {
	var d Digest
	if len(text) != hex.EncodedLen(len(d)) {
		return Digest{}, fmt.Errorf("a SHA-256 in hex has %d digits, this has %d characters", hex.EncodedLen(len(d)), len(text))
	}
	if _, err := hex.Decode(d[:], []byte(text)); err != nil {
		return Digest{}, fmt.Errorf("not a SHA-256 in hex")
	}
	return d, nil
}
