package boltfile

const (
	elementSize = 16 // of branches and of leaves

	// spanMax is the largest page, overflow and all: the longest slice that
	// bbolt can make of its map.
	spanMax = 1<<31 - 1
)

// page is a page as it was read, or the one within a small bucket's value.
type page struct {
	id    uint64 // where it is, for errors
	kind  uint16
	count int
	data  []byte // all of it, with header and overflow
}

// header decodes the header of a page.
func header(buf []byte) (id uint64, kind, count uint16, overflow uint32) {
	return order.Uint64(buf), order.Uint16(buf[8:]), order.Uint16(buf[10:]), order.Uint32(buf[12:])
}

// bodies is where the keys and values begin, behind the elements.
func (p *page) bodies() (uint64, error) {
	at := uint64(headerSize + p.count*elementSize)
	if at > uint64(len(p.data)) {
		return 0, damaged(p.id, "says it has %d elements, and has room for %d", p.count, (len(p.data)-headerSize)/elementSize)
	}
	return at, nil
}

// child decodes the i-th element of a branch, whose key must be at a place. It
// returns the place behind.
func (p *page) child(i int, at uint64) (key []byte, child, end uint64, err error) {
	start := headerSize + i*elementSize
	e := p.data[start : start+elementSize]
	pos, ksize := order.Uint32(e), order.Uint32(e[4:])
	end = at + uint64(ksize)
	if err := p.place(i, uint64(start)+uint64(pos), at, ksize, end); err != nil {
		return nil, 0, 0, err
	}
	return p.data[at:end:end], order.Uint64(e[8:]), end, nil
}

// entry decodes the i-th element of a leaf, whose key must be at a place. It
// returns the place behind.
func (p *page) entry(i int, at uint64) (flags uint32, key, value []byte, end uint64, err error) {
	start := headerSize + i*elementSize
	e := p.data[start : start+elementSize]
	pos, ksize, vsize := order.Uint32(e[4:]), order.Uint32(e[8:]), order.Uint32(e[12:])
	middle := at + uint64(ksize)
	end = middle + uint64(vsize)
	if err := p.place(i, uint64(start)+uint64(pos), at, ksize, end); err != nil {
		return 0, nil, nil, 0, err
	}
	return order.Uint32(e), p.data[at:middle:middle], p.data[middle:end:end], end, nil
}

// place checks where the i-th element has its key and value. Were they free to
// overlap, a page could hold more than its size, and bbolt could not write it.
func (p *page) place(i int, says, at uint64, ksize uint32, end uint64) error {
	switch {
	case says != at:
		return damaged(p.id, "has its key %d at byte %d instead of %d", i, says, at)
	case ksize == 0:
		return damaged(p.id, "has an empty key %d", i)
	case end > uint64(len(p.data)):
		return damaged(p.id, "ends %d bytes before its key %d or the value of it", end-uint64(len(p.data)), i)
	}
	return nil
}
