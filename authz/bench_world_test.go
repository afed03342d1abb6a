package authz

import (
	_ "embed"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
)

//go:embed testdata/captures/01_get_map.bin
var firstCapture []byte

// keyIndex finds keys as quickly as a store does, so that what is measured is the check.
type keyIndex map[key.Digest]*key.Facts

func indexed(w *world) keyIndex {
	index := keyIndex{}
	for _, r := range w.keys {
		for _, s := range r.Secrets {
			index[s.Digest], _ = r.FactsOf(s.Digest)
		}
	}
	return index
}

func (i keyIndex) Lookup(d key.Digest, to *key.Facts) bool {
	f, ok := i[d]
	if ok {
		*to = *f
	}
	return ok
}

// peopled is a directory as a store has it: of people, what a look-up returns is there.
type peopled struct {
	*world
	people map[string]directory.Person
}

func peopledOf(w *world) peopled {
	d := peopled{w, map[string]directory.Person{}}
	for id := range w.principals {
		d.people[id], _ = w.Principal(id)
	}
	return d
}

func (d peopled) Principal(id string) (directory.Person, bool) {
	p, ok := d.people[id]
	return p, ok
}
