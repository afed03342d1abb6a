package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/latchkey/latchkey/policyfile"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// history is a store, and what was written to it.
type history struct {
	t       *testing.T
	rand    *rand.Rand
	data    string
	writers []*writer
	still   *writer // its keys are never written to, and their owners are
	ended   []*ownKey

	epoch, revision uint64
	people          people
	policies        map[string]string
	scopes          map[string][]string // of a key type and role, as they were first shown
	loaded          bool

	*tally
}

func newHistory(t *testing.T, sum *tally, seed uint64) *history {
	dir := keptFolder(t, "the store")
	h := &history{t: t, data: filepath.Join(dir, "d"), rand: rand.New(rand.NewPCG(seed, 0)), scopes: map[string][]string{}, policies: map[string]string{}, tally: sum}
	made := func(name string, i uint64) *writer {
		return &writer{h: h, name: name, rand: rand.New(rand.NewPCG(seed, i)), byID: map[string]*ownKey{}, touched: map[*ownKey]bool{}}
	}
	for i := range uint64(4) {
		h.writers = append(h.writers, made("w"+strconv.FormatUint(i, 10), i+1))
	}
	h.still = made("still", 9)
	h.people = firstPeople(h.all())
	h.writers[0].more = func() write { return h.changePeople(h.writers[0]) }
	h.writers[1].more = func() write { return h.changePolicies(h.writers[1]) }
	return h
}

func (h *history) all() []*writer { return append(slices.Clone(h.writers), h.still) }

// learned returns the scopes of keys whose scopes come with their type or
// role: those of the first one.
func (h *history) learned(f *adminv1.KeyFields, got *adminv1.Key) []string {
	name := f.GetPolicy() + " " + f.GetType() + " " + f.GetRole()
	if h.scopes[name] == nil && !h.loaded {
		h.scopes[name] = got.GetScopes()
	}
	return h.scopes[name]
}

func (h *history) version(source string) string {
	loaded, err := policyfile.Load("policy", []byte(source))
	if err != nil {
		h.t.Errorf("%v\n%s", err, source)
		return ""
	}
	return loaded.Policy.Version()
}

// load starts a store: policies, directory and keys.
func (h *history) load(keys int) {
	v, err := startVictim(h.data)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { h.over(v, v.stop(), true) }()
	ctx := h.t.Context()
	status, _, err := v.answers(ctx)
	if err != nil {
		h.over(v, err, false)
	}
	h.epoch = status.GetPosition().GetEpoch()
	do := func(w write) {
		err := w.call(ctx, v)
		if err == nil {
			var at *adminv1.Position
			at, err = w.acked()
			h.revision++
			if at.GetRevision() != h.revision {
				err = errors.Join(err, fmt.Errorf("%s is revision %d and should be %d", w.kind(), at.GetRevision(), h.revision))
			}
		}
		if err != nil {
			h.over(v, fmt.Errorf("loading the store: %w", err), false)
		}
	}
	for _, file := range examplePolicies(h.t) {
		source, err := os.ReadFile(file)
		if err != nil {
			h.t.Fatal(err)
		}
		name := filepath.Base(filepath.Dir(file))
		do(&policyWrite{h: h, policy: name, source: string(source), after: h.version(string(source))})
	}
	do(&peopleWrite{name: "directory apply", h: h, next: h.people})
	first := &newKeys{name: "import", w: h.still}
	for n := range owners {
		for _, kind := range keyKinds {
			for _, role := range append(kind.roles, "")[:max(1, len(kind.roles))] {
				f := kind.fields(h.rand, h.still.owner(n), h.still.unique())
				f.Role = role
				first.add(kind, f)
			}
		}
	}
	do(first)
	h.loaded = true
	for i := 0; keys > 0; i++ {
		w, n := h.writers[i%len(h.writers)], min(keys, 1000, max(1, keys/len(h.writers)))
		do(w.batch(n, func() string { return w.owner(owners) }))
		keys -= n
	}
}
