package table

import (
	"encoding/binary"
	"slices"
)

// leaf is header, slots and entries in one piece.
type leaf []byte

const (
	// A leaf is split before it has more entries, or, with several, more bytes.
	fullCount = 96
	fullBytes = 64 << 10

	headerSize  = 4
	slotBitsMin = 3
	openBit     = 0x80 // of the depth: the leaf belongs to an edit, which may change it

	offsetBits = 24
	offsetMask = 1<<offsetBits - 1
)

// EntryMax is the longest entry, in bytes.
const EntryMax = 1<<offsetBits - 1<<20

// slotBitsFor returns how many slots, as a power of two, so many entries need.
func slotBitsFor(count int) uint8 {
	bits := uint8(slotBitsMin)
	for 4*count > 3<<bits {
		bits++
	}
	return bits
}

func newLeaf(depth uint8, slotBits uint8, room int) leaf {
	start := headerSize + 4<<slotBits
	l := make(leaf, start, start+room)
	l[0], l[1] = depth|openBit, slotBits
	return l
}

func (l leaf) depth() uint8    { return l[0] &^ openBit }
func (l leaf) open() bool      { return l[0]&openBit != 0 }
func (l leaf) count() int      { return int(binary.LittleEndian.Uint16(l[2:])) }
func (l leaf) setCount(n int)  { binary.LittleEndian.PutUint16(l[2:], uint16(n)) }
func (l leaf) mask() uint32    { return 1<<l[1] - 1 }
func (l leaf) start() int      { return headerSize + 4<<l[1] }
func (l leaf) crowded() bool   { return 4*(l.count()+1) > 3<<l[1] }
func tagOf(hash uint64) uint32 { return uint32(hash>>8) &^ offsetMask }

// slot returns what a slot holds: 0 if it is free, else tag and offset.
func (l leaf) slot(i uint32) uint32 { return binary.LittleEndian.Uint32(l[headerSize+4*i:]) }

// entry returns the entry at an offset, and where the next begins.
func (l leaf) entry(at int) (entry []byte, next int) {
	n, size := binary.Uvarint(l[at:])
	start := at + size
	next = start + int(n)
	return l[start:next:next], next
}

func (l leaf) each(f func(entry []byte) bool) bool {
	for at := l.start(); at < len(l); {
		entry, next := l.entry(at)
		if !f(entry) {
			return false
		}
		at = next
	}
	return true
}

// find returns the entry of a name, and where it begins.
func (l leaf) find(hash uint64, name []byte, nameOf func([]byte) []byte) (entry []byte, at int) {
	tag, mask := tagOf(hash), l.mask()
	for i := uint32(hash) & mask; ; i = (i + 1) & mask {
		s := l.slot(i)
		if s == 0 {
			return nil, 0
		}
		if s&^offsetMask != tag {
			continue
		}
		at = int(s & offsetMask)
		if entry, _ = l.entry(at); same(nameOf(entry), name) {
			return entry, at
		}
	}
}

// append adds an entry whose name isn't there, to a leaf that isn't crowded. It
// returns the leaf, which may have moved.
func (l leaf) append(hash uint64, entry []byte) leaf {
	mask := l.mask()
	i := uint32(hash) & mask
	for l.slot(i) != 0 {
		i = (i + 1) & mask
	}
	binary.LittleEndian.PutUint32(l[headerSize+4*i:], tagOf(hash)|uint32(len(l)))
	l.setCount(l.count() + 1)
	l = binary.AppendUvarint(l, uint64(len(entry)))
	return append(l, entry...)
}

// rebuilt returns a leaf of this depth with those entries of a leaf that keep
// accepts.
func (l leaf) rebuilt(depth, slotBits uint8, room int, nameOf func([]byte) []byte, keep func(hash uint64, entry []byte) bool) leaf {
	n := newLeaf(depth, slotBits, room)
	l.each(func(entry []byte) bool {
		if hash := hashOf(nameOf(entry)); keep(hash, entry) {
			n = n.append(hash, entry)
		}
		return true
	})
	return n
}

// closed returns the leaf as it is kept: no larger than need be.
func (l leaf) closed() leaf {
	if cap(l) > len(l)+len(l)/16 {
		l = slices.Clone(l)
	}
	l[0] &^= openBit
	return l
}
