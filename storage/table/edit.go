package table

import "slices"

// depthMax is how many bits of the hash a directory may use. A leaf at that
// depth grows instead of being split; no more than a few entries ever meet there.
const depthMax = 40

// Edit makes a Table from another one, which stays as it is. It is for one
// goroutine.
type Edit struct {
	t     Table
	owned []bool // by block: whether it is a copy of this edit's own
}

// Edit begins the next table.
func (t *Table) Edit() *Edit {
	e := &Edit{t: *t}
	e.t.blocks = slices.Clone(t.blocks)
	e.owned = make([]bool, len(t.blocks))
	return e
}

// Get returns the entry of that name as it is by now, and nil if there is none.
// It is valid until the next change.
func (e *Edit) Get(name []byte) []byte { return e.t.Get(name) }

// Put adds the entry, in the place of another with its name if there is one. It
// copies what it is given, of EntryMax bytes at most.
func (e *Edit) Put(entry []byte) {
	mustFit(entry)
	name := e.t.name(entry)
	e.Delete(name)
	e.add(hashOf(name), entry)
}

// Delete removes the entry of that name, if there is one.
func (e *Edit) Delete(name []byte) {
	if e.t.count == 0 {
		return
	}
	hash := hashOf(name)
	i := e.t.place(hash)
	l := e.t.leaf(i)
	_, at := l.find(hash, name, e.t.name)
	if at == 0 {
		return
	}
	gone, _ := l.entry(at)
	e.set(i, l.rebuilt(l.depth(), l[1], len(l), e.t.name, func(_ uint64, entry []byte) bool { return &entry[0] != &gone[0] }))
	e.t.count--
}

// Table returns what was made. The edit is not to be used after it.
func (e *Edit) Table() *Table {
	for b, owned := range e.owned {
		if !owned {
			continue
		}
		for i := range e.t.blocks[b] {
			// Of those that share a leaf the first closes it for all.
			if l := e.t.blocks[b][i]; len(l) > 0 && l.open() {
				e.set(b<<blockBits|i, l.closed())
			}
		}
	}
	t := e.t
	return &t
}

// add adds an entry whose name isn't there.
func (e *Edit) add(hash uint64, entry []byte) {
	if len(e.t.blocks) == 0 {
		e.t.blocks, e.owned = []*block{{newLeaf(0, slotBitsMin, 0)}}, []bool{true}
	}
	i := e.t.place(hash)
	l := e.t.leaf(i)
	for l.depth() < depthMax && (l.count() >= fullCount || l.count() > 0 && len(l)+len(entry) > fullBytes) {
		e.split(i, l)
		i = e.t.place(hash)
		l = e.t.leaf(i)
	}
	if slots := l[1]; l.crowded() || !l.open() {
		if l.crowded() {
			slots++
		}
		l = l.rebuilt(l.depth(), slots, len(l)+len(entry), e.t.name, func(uint64, []byte) bool { return true })
	}
	e.set(i, l.append(hash, entry))
	e.t.count++
}

// split puts two leaves in the place of one.
func (e *Edit) split(i int, l leaf) {
	if l.depth() == e.t.bits {
		e.double()
		i *= 2
	}
	depth := l.depth() + 1
	first := i &^ (1<<(e.t.bits-l.depth()) - 1)
	for half := range 2 {
		n := l.rebuilt(depth, l[1], len(l)/2, e.t.name, func(hash uint64, _ []byte) bool { return int(hash>>(64-depth))&1 == half })
		e.set(first+half<<(e.t.bits-depth), n)
	}
}

// double makes the directory use one bit more.
func (e *Edit) double() {
	e.t.bits++
	if e.t.bits <= blockBits {
		old := e.t.blocks[0]
		b := &block{}
		for i := range 1 << e.t.bits {
			b[i] = old[i/2]
		}
		e.t.blocks, e.owned = []*block{b}, []bool{true}
		return
	}
	blocks := make([]*block, 2*len(e.t.blocks))
	for i := range blocks {
		blocks[i] = &block{}
		for j := range blockSize {
			blocks[i][j] = e.t.leaf((i<<blockBits | j) / 2)
		}
	}
	e.t.blocks, e.owned = blocks, slices.Repeat([]bool{true}, len(blocks))
}

// set puts a leaf in all the places that share it.
func (e *Edit) set(i int, l leaf) {
	shared := 1 << (e.t.bits - l.depth())
	first := i &^ (shared - 1)
	for j := first; j < first+shared; j++ {
		b := j >> blockBits
		if !e.owned[b] {
			c := *e.t.blocks[b]
			e.t.blocks[b], e.owned[b] = &c, true
		}
		e.t.blocks[b][j&blockMask] = l
	}
}
