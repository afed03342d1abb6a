package storage

import (
	"slices"
	"strings"

	"github.com/latchkey/latchkey/key"
)

// shape is what many keys have in common.
type shape struct {
	policy, keyType, environment, role string
	scopes                             []string
}

// shapes hands out numbers for shapes. It belongs to whoever writes; views have
// the list alone, of which nothing changes that a row of theirs refers to.
type shapes struct {
	list    []*shape
	numbers map[string]uint32 // by name
	uses    []int             // by number: rows that refer to it

	// Numbers that no row of the newest view refers to: free ones may be in use
	// by the list of an older view, reusable ones aren't any more.
	free, reusable []uint32
}

func newShapes() *shapes { return &shapes{numbers: map[string]uint32{}} }

// appendShapeName appends what tells a shape from others.
func appendShapeName(b []byte, policy, keyType, environment, role string, scopes []string) []byte {
	for _, text := range [...]string{policy, keyType, environment, role} {
		b = appendText(b, text)
	}
	for _, scope := range scopes {
		b = appendText(b, scope)
	}
	return b
}

func shapeName(b []byte, f *key.Facts) []byte {
	return appendShapeName(b, f.Policy, f.Type, f.Environment, f.Role, f.Scopes)
}

// use returns the number of the shape of a key, and counts one use more of it.
func (s *shapes) use(f *key.Facts) uint32 {
	n := s.number(f)
	s.uses[n]++
	return n
}

// number returns the number of the shape of a key.
func (s *shapes) number(f *key.Facts) uint32 {
	name := shapeName(nil, f)
	n, ok := s.numbers[string(name)]
	if !ok {
		n = s.add(f)
		s.numbers[string(name)] = n
	}
	return n
}

func (s *shapes) add(f *key.Facts) uint32 {
	one := &shape{strings.Clone(f.Policy), strings.Clone(f.Type), strings.Clone(f.Environment), strings.Clone(f.Role), nil}
	for _, scope := range f.Scopes {
		one.scopes = append(one.scopes, strings.Clone(scope))
	}
	if len(s.reusable) == 0 && len(s.free) > 64+len(s.list)/4 {
		// Older views keep the list that they have.
		s.list = slices.Clone(s.list)
		s.reusable, s.free = s.free, nil
	}
	if last := len(s.reusable) - 1; last >= 0 {
		n := s.reusable[last]
		s.reusable = s.reusable[:last]
		s.list[n] = one
		return n
	}
	s.list, s.uses = append(s.list, one), append(s.uses, 0)
	return uint32(len(s.list) - 1)
}

// drop counts one use less.
func (s *shapes) drop(n uint32) {
	if s.uses[n]--; s.uses[n] == 0 {
		o := s.list[n]
		delete(s.numbers, string(appendShapeName(nil, o.policy, o.keyType, o.environment, o.role, o.scopes)))
		s.free = append(s.free, n)
	}
}
