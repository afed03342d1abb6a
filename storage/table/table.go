// Package table is the memory of a store: byte strings found by name, without
// a pointer to each of them.
//
// A Table never changes. Whoever holds one reads it without a lock for as long
// as they like. An Edit makes the next Table from it, and shares with it all
// that didn't change: for a change to one entry some kilobytes are copied,
// however many entries there are.
//
// # Layout
//
// It is an extendible hash table (Fagin et al., 1979). The first bits of the
// hash of an entry's name lead through a directory to a leaf. A leaf is one
// piece of memory without pointers, so that the garbage collector passes it by
// in one step: first slots, an open-addressed table of where its entries begin
// and of a few more bits of their hashes, then the entries, each after its
// length. A leaf that is full is split in two, alone; when one comes to use all
// the bits of the directory, that is doubled.
//
//	directory   blocks of 64 leaves, by the first bits of the hash
//	leaf        depth │ slots │ count │ tag (8 bits) and offset (24) × slots │ entries
//
// Names are hashed with a seed of the process, so that nobody can choose names
// that fall together.
package table

import (
	"crypto/subtle"
	"hash/maphash"

	"github.com/latchkey/latchkey/internal/alias"
)

const (
	blockBits = 6 // of the hash, within a block of the directory
	blockSize = 1 << blockBits
	blockMask = blockSize - 1

	leafHeader = 24 // bytes of a slice's header, in a block
)

// Table is a set of entries. It is immutable and safe for concurrent use. Make
// the first one with New.
type Table struct {
	name   func(entry []byte) []byte
	bits   uint8 // of the hash that the directory uses
	blocks []*block
	count  int
}

// block is a part of the directory. Neighbours may share a leaf, which then
// stands in each of their places.
type block [blockSize]leaf

// New returns a table without entries. name returns the part of an entry by
// which it is found. It is called often.
func New(name func(entry []byte) []byte) *Table { return &Table{name: name} }

// Len returns how many entries there are.
func (t *Table) Len() int { return t.count }

// Get returns the entry of that name, and nil if there is none. It belongs to
// the table: it is not to be changed, and stays as it is for as long as it is
// held. Names are compared in constant time.
func (t *Table) Get(name []byte) []byte {
	if t.count == 0 {
		return nil
	}
	entry, _ := t.leaf(t.place(hashOf(name))).find(hashOf(name), name, t.name)
	return entry
}

// GetString is Get for a name that is a string.
func (t *Table) GetString(name string) []byte {
	return t.Get(alias.Bytes(name))
}

var seed = maphash.MakeSeed()

func hashOf(name []byte) uint64 { return maphash.Bytes(seed, name) }

func same(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

// place returns which leaf of the directory has the entries of a hash.
func (t *Table) place(hash uint64) int {
	return int(hash >> (64 - t.bits)) // 0 where no bits are used: Go shifts everything out
}

func (t *Table) leaf(i int) leaf { return t.blocks[i>>blockBits][i&blockMask] }

// leaves calls f with every leaf once, and the place of the first of those that
// share it, until it returns false.
func (t *Table) leaves(f func(i int, l leaf) bool) {
	for i := 0; len(t.blocks) > 0 && i < 1<<t.bits; {
		l := t.leaf(i)
		if !f(i, l) {
			return
		}
		i += 1 << (t.bits - l.depth())
	}
}

// Each calls f with every entry, in no order, until it returns false.
func (t *Table) Each(f func(entry []byte) bool) {
	t.leaves(func(_ int, l leaf) bool { return l.each(f) })
}

// Bytes returns how much memory the entries take, with all that leads to them.
func (t *Table) Bytes() int {
	n := len(t.blocks) * blockSize * leafHeader
	t.leaves(func(_ int, l leaf) bool { n += cap(l); return true })
	return n
}
