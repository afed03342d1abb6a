// Package mint makes tokens. It is apart from package key so that what only checks them doesn't link it: who can't
// mint can't be made to.
package mint

import (
	"fmt"
	"io"

	"github.com/latchkey/latchkey/key"
)

// Token makes a token of a form from a source of random bytes (crypto/rand.Reader). It fails only if the source does.
func Token(f key.Format, random io.Reader) (key.Token, error) {
	text := make([]byte, 0, f.Length())
	text = append(text, f.Prefix...)
	var buf [64]byte
	for len(text) < len(f.Prefix)+f.SecretLength {
		if _, err := io.ReadFull(random, buf[:]); err != nil {
			return key.Token{}, fmt.Errorf("reading random bytes for a new secret: %w", err)
		}
		for _, b := range buf {
			// 62 of the 64 values of six bits; the others are drawn again, so
			// that each character is equally likely.
			if i := int(b >> 2); i < len(key.Base62Digits) && len(text) < len(f.Prefix)+f.SecretLength {
				text = append(text, key.Base62Digits[i])
			}
		}
	}
	if f.Checksum {
		sum := key.Checksum(string(text))
		text = append(text, sum[:]...)
	}
	return key.NewToken(string(text)), nil
}
