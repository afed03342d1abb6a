package policy

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

// Documents compiles policy documents, each the encoding of a latchkey.policy.v1.Policy, to values that hold a
// policy and maybe more. It remembers those of its last call, so that a change of one policy compiles one. It is
// safe for concurrent use.
type Documents[P interface{ Name() string }] struct {
	// Compile makes the value of one document.
	Compile func(*policyv1.Policy) (P, error)

	mu   sync.Mutex
	last map[[sha256.Size]byte]P
}

// All compiles documents by name, and returns their values in order of name. The error names every document that
// can't be used.
func (d *Documents[P]) All(documents map[string][]byte) ([]P, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := map[[sha256.Size]byte]P{}
	var all []P
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(documents)) {
		digest := sha256.Sum256(documents[name])
		one, ok := d.last[digest]
		if !ok {
			doc := &policyv1.Policy{}
			err := proto.Unmarshal(documents[name], doc)
			if err == nil {
				one, err = d.Compile(doc)
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("policy %q: %w", name, err))
				continue
			}
		}
		if one.Name() != name {
			errs = append(errs, fmt.Errorf("policy %q: its document calls it %q", name, one.Name()))
		}
		next[digest] = one
		all = append(all, one)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	d.last = next
	return all, nil
}
