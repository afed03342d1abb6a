package main

import (
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// twins finds tokens and ids that stand on two lines, however far apart.
type twins struct {
	tokens map[key.Digest]uint32
	ids    map[[16]byte]uint32
}

func newTwins() *twins {
	return &twins{map[key.Digest]uint32{}, map[[16]byte]uint32{}}
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
			// Of a line that has one token twice the process says what is wrong with it.
			if first, twice := t.tokens[d]; twice && first != uint32(l.line) {
				mistakes = append(mistakes, importMistake{l.line, fmt.Sprintf("the token is that of line %d: leave one of them out", first)})
				return true
			}
			t.tokens[d] = uint32(l.line)
		}
		return false
	})
	return mistakes
}

// digests returns the digests of a line that can be read.
func digests(k *adminv1.ImportKey) (all []key.Digest) {
	if k.GetToken() != "" {
		all = append(all, key.NewToken(k.GetToken()).Digest())
	}
	texts := []string{k.GetTokenSha256()}
	for _, s := range k.GetFormerSecrets() {
		texts = append(texts, s.GetTokenSha256())
	}
	for _, text := range texts {
		if d, err := hex.DecodeString(text); err == nil && len(d) == len(key.Digest{}) {
			all = append(all, key.Digest(d))
		}
	}
	return all
}
