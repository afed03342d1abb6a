package main

import (
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// twins finds tokens and ids that stand on two lines, however far apart. Of
// each it remembers 20 bytes: of a digest as many as nobody finds another for.
type twins struct {
	tokens map[[16]byte]uint32
	ids    map[[16]byte]uint32
}

func newTwins() *twins {
	return &twins{map[[16]byte]uint32{}, map[[16]byte]uint32{}}
}

// find takes those out of the lines that have a token or an id of an earlier one.
func (t *twins) find(b *importLines) (mistakes []importMistake) {
	b.lines = slices.DeleteFunc(b.lines, func(l importLine) bool {
		if id, ok := key.ParseID(l.key.GetId()).Random(); ok {
			if first, twice := t.ids[id]; twice {
				mistakes = append(mistakes, importMistake{l.line, fmt.Sprintf("the id is that of line %d: leave one of them out", first)})
				return true
			}
			t.ids[id] = uint32(l.line)
		}
		for _, d := range digests(l.key) {
			if first, twice := t.tokens[d]; twice {
				mistakes = append(mistakes, importMistake{l.line, fmt.Sprintf("the token is that of line %d: leave one of them out", first)})
				return true
			}
			t.tokens[d] = uint32(l.line)
		}
		return false
	})
	return mistakes
}

// digests returns the beginnings of the digests of a line that can be read.
func digests(k *adminv1.ImportKey) (all [][16]byte) {
	if k.GetToken() != "" {
		d := key.NewToken(k.GetToken()).Digest()
		all = append(all, [16]byte(d[:]))
	}
	texts := []string{k.GetTokenSha256()}
	for _, s := range k.GetFormerSecrets() {
		texts = append(texts, s.GetTokenSha256())
	}
	for _, text := range texts {
		if d, err := hex.DecodeString(text); err == nil && len(d) == len(key.Digest{}) {
			all = append(all, [16]byte(d))
		}
	}
	return all
}
