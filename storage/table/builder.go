package table

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
)

// Builder makes a table of many entries at once, faster than an Edit: entries
// are first laid out by their hashes, where writing is sequential, and each
// part then fits into a processor's cache while its leaves are made. It needs
// as much memory again as the table until that is done.
//
// It is for one goroutine. Several may fill one each, to be joined by Join.
type Builder struct {
	name  func(entry []byte) []byte
	parts [1 << partBits]part
}

// partBits are the bits of the hash that tell the parts apart.
const partBits = 8

// part is entries, each after its length, in pieces.
type part struct {
	pieces [][]byte
	count  int
}

const (
	pieceMin = 512
	pieceMax = 32 << 10
)

// NewBuilder returns a builder without entries. See New.
func NewBuilder(name func(entry []byte) []byte) *Builder { return &Builder{name: name} }

// Add adds an entry, of EntryMax bytes at most, and copies it.
func (b *Builder) Add(entry []byte) {
	mustFit(entry)
	p := &b.parts[hashOf(b.name(entry))>>(64-partBits)]
	p.count++
	last := len(p.pieces) - 1
	if last < 0 || cap(p.pieces[last])-len(p.pieces[last]) < binary.MaxVarintLen32+len(entry) {
		size := pieceMin
		if last >= 0 {
			size = min(2*cap(p.pieces[last]), pieceMax)
		}
		p.pieces = append(p.pieces, make([]byte, 0, max(size, binary.MaxVarintLen32+len(entry))))
		last++
	}
	piece := binary.AppendUvarint(p.pieces[last], uint64(len(entry)))
	p.pieces[last] = append(piece, entry...)
}

func mustFit(entry []byte) {
	if len(entry) > EntryMax {
		panic(fmt.Sprintf("table: an entry of %d bytes: it has EntryMax at most", len(entry)))
	}
}

// Join takes over all entries of another builder, which is empty then.
func (b *Builder) Join(o *Builder) {
	for i := range b.parts {
		b.parts[i].pieces = append(b.parts[i].pieces, o.parts[i].pieces...)
		b.parts[i].count += o.parts[i].count
		o.parts[i] = part{}
	}
}

// Table returns the table of all entries, and empties the builder. Where two
// entries have one name, it is an error, and the table has one of them. The
// work is shared by two goroutines, of which none is left when it returns.
func (b *Builder) Table() (*Table, error) {
	var made [1 << partBits]made
	var group sync.WaitGroup
	for half := range 2 {
		group.Go(func() {
			for i := half; i < len(made); i += 2 {
				made[i] = b.parts[i].make(b.name)
				b.parts[i] = part{}
			}
		})
	}
	group.Wait()
	return assemble(b.name, &made)
}

// made is the leaves of a part, from the left.
type made struct {
	leaves []leaf
	count  int
	twice  []byte // an entry that came twice
}

// reference is where an entry of a part is. It has no pointers, since there are
// many for a moment.
type reference struct {
	hash      uint64
	piece, at uint32
}

// entry returns the entry of a reference.
func (p *part) entry(r reference) []byte {
	piece := p.pieces[r.piece]
	n, size := binary.Uvarint(piece[r.at:])
	start := int(r.at) + size
	return piece[start : start+int(n)]
}

func (p *part) make(name func([]byte) []byte) (m made) {
	all := make([]reference, 0, p.count)
	for i, piece := range p.pieces {
		for at := 0; at < len(piece); {
			r := reference{piece: uint32(i), at: uint32(at)}
			n, size := binary.Uvarint(piece[at:])
			start := at + size
			at = start + int(n)
			r.hash = hashOf(name(piece[start:at]))
			all = append(all, r)
		}
	}
	m.split(p, all, partBits, name)
	return m
}

// split makes the leaves of entries whose hashes begin with the same bits.
func (m *made) split(p *part, all []reference, depth uint8, name func([]byte) []byte) {
	if depth < depthMax && (len(all) > fullCount || len(all) > 1 && p.bytes(all) > fullBytes) {
		middle := divide(all, 1<<(63-depth))
		m.split(p, all[:middle], depth+1, name)
		m.split(p, all[middle:], depth+1, name)
		return
	}
	l := newLeaf(depth, slotBitsFor(len(all)), p.bytes(all))
	for _, r := range all {
		entry := p.entry(r)
		if other, _ := l.find(r.hash, name(entry), name); other != nil {
			m.twice = slices.Clone(entry)
			continue
		}
		l = l.append(r.hash, entry)
		m.count++
	}
	m.leaves = append(m.leaves, l.closed())
}

// bytes is how many bytes the entries take in a leaf.
func (p *part) bytes(all []reference) (n int) {
	for _, r := range all {
		length, size := binary.Uvarint(p.pieces[r.piece][r.at:])
		n += size + int(length)
	}
	return n
}

// divide puts those whose hash hasn't the bit before the others, and returns
// where these begin.
func divide(all []reference, bit uint64) int {
	middle := 0
	for i := range all {
		if all[i].hash&bit == 0 {
			all[i], all[middle] = all[middle], all[i]
			middle++
		}
	}
	return middle
}

// assemble makes the directory.
func assemble(name func([]byte) []byte, all *[1 << partBits]made) (*Table, error) {
	t := New(name)
	var twice []byte
	for i := range all {
		t.count += all[i].count
		if twice == nil {
			twice = all[i].twice
		}
		for _, l := range all[i].leaves {
			t.bits = max(t.bits, l.depth())
		}
	}
	if t.count == 0 {
		return New(name), nil
	}
	t.blocks = make([]*block, 1<<(t.bits-blockBits))
	for i := range t.blocks {
		t.blocks[i] = &block{}
	}
	at := 0
	for i := range all {
		for _, l := range all[i].leaves {
			for range 1 << (t.bits - l.depth()) {
				t.blocks[at>>blockBits][at&blockMask] = l
				at++
			}
		}
	}
	if twice != nil {
		return t, &TwiceError{twice}
	}
	return t, nil
}

// TwiceError is an entry whose name another one has.
type TwiceError struct{ Entry []byte }

func (e *TwiceError) Error() string { return "two entries have one name" }
