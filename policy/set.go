package policy

import "math/bits"

// maxNames is how many scopes, and how many permissions, a policy may have.
const maxNames = 256

// Set is a set of a policy's scopes or of its permissions, by index. Indexes
// follow the byte order of the names, so that a listing is sorted.
type Set [maxNames / 64]uint64

// Has reports whether index i is in the set.
func (s Set) Has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }

// With returns the set and index i.
func (s Set) With(i int) Set {
	s[i/64] |= 1 << (i % 64)
	return s
}

// Union returns what is in either set.
func (s Set) Union(t Set) Set {
	for i := range s {
		s[i] |= t[i]
	}
	return s
}

// And returns what is in both sets.
func (s Set) And(t Set) Set {
	for i := range s {
		s[i] &= t[i]
	}
	return s
}

// Minus returns what is in s and not in t.
func (s Set) Minus(t Set) Set {
	for i := range s {
		s[i] &^= t[i]
	}
	return s
}

// Covers reports whether all of t is in s.
func (s Set) Covers(t Set) bool { return t.Minus(s).Empty() }

// Empty reports whether nothing is in the set.
func (s Set) Empty() bool { return s == Set{} }

// each calls f with every index in the set, in order.
func (s Set) each(f func(i int)) {
	for w, word := range s {
		for ; word != 0; word &= word - 1 {
			f(w*64 + bits.TrailingZeros64(word))
		}
	}
}

// names is a sorted list of names and their indexes.
type names struct {
	sorted []string
	index  map[string]int
}

// list returns the names in the set, sorted by byte.
func (n names) list(s Set) []string {
	var out []string
	s.each(func(i int) { out = append(out, n.sorted[i]) })
	return out
}

// appendList appends the names in the set to b, sorted by byte, with a space
// between each two.
func (n names) appendList(b []byte, s Set) []byte {
	more := false
	for w, word := range s {
		for ; word != 0; word &= word - 1 {
			if more {
				b = append(b, ' ')
			}
			b = append(b, n.sorted[w*64+bits.TrailingZeros64(word)]...)
			more = true
		}
	}
	return b
}

// all returns the set of every name.
func (n names) all() Set {
	var s Set
	for i := range n.sorted {
		s = s.With(i)
	}
	return s
}
