package boltfile

import (
	"bytes"
	"math/bits"
)

// Stats is what a Walk came by.
type Stats struct {
	Pages     uint64 // the high water mark
	Reachable uint64 // of those, in use; the others are free
	Buckets   uint64
	Keys      uint64
	Depth     int // levels of pages in the deepest bucket; 0 if all are inline
}

// Walk reads and checks every page in use, and calls do for every bucket, by
// name, with a nil key, and then for each of its keys in order. The bytes
// belong to Walk, and are valid during the call only.
//
// Walk stops at the first damage and returns a *Damage. What do has been told
// by then counts for nothing: only a nil error vouches for it. An error of do ends the walk and is returned as it is. Errors of
// the reader are wrapped with the page. Reads are of one page, or its overflow,
// at a time, and no page is read twice. Memory is one page for each level of
// the trees, and a bit for each page.
func (f *File) Walk(do func(bucket string, key, value []byte) error) (Stats, error) {
	w := &walker{f: f, do: do, stats: Stats{Pages: f.meta.Pages}}
	w.seen.add(0)
	w.seen.add(1)
	err := w.tree(tree{parent: uint64(f.meta.Slot), entry: w.bucket}, f.meta.Root, 0)
	w.stats.Reachable = w.seen.count
	if err == nil && f.meta.Freelist != NoFreelist {
		err = w.freelist()
	}
	return w.stats, err
}

type walker struct {
	f      *File
	do     func(bucket string, key, value []byte) error
	seen   pageSet
	levels [][]byte // a buffer for each level, since branches are in use while their children are read
	stats  Stats

	skipped bool // a bucket was left out: pages that weren't seen may be in use
}

// tree is one tree in the walk.
type tree struct {
	parent uint64 // the page that names its root, for errors
	level  int    // of its root: how many buffers are in use above
	leaves int    // the level of its leaves, once there was one
	// entry is called for each key of its leaves, with the page and the level
	// below.
	entry func(page uint64, level int, flags uint32, key, value []byte) error
}

func (w *walker) tree(t tree, root uint64, level int) error {
	t.level, t.leaves = level, -1
	return w.node(&t, t.parent, root, level, nil, nil)
}

// node walks the page with this number and those below. All keys must be less
// than end, if there is one. first, if there is one, is what the parent, a
// branch, takes for its first key.
func (w *walker) node(t *tree, parent, id uint64, level int, first, end []byte) error {
	if id < 2 || id >= w.f.meta.Pages {
		return damaged(parent, "refers to page %d, where pages go from 2 to %d", id, w.f.meta.Pages-1)
	}
	p, err := w.read(id, level)
	if err != nil {
		return err
	}
	switch p.kind {
	case leafPage:
		if t.leaves < 0 {
			t.leaves = level
		}
		if level != t.leaves {
			return damaged(id, "is a leaf at level %d, and others of the bucket are at level %d", level-t.level, t.leaves-t.level)
		}
		if p.count == 0 && first != nil {
			return damaged(id, "has no keys, and isn't the only page of its bucket")
		}
		return w.leaf(t, &p, level, first, end)
	case branchPage:
		// With two children or more to each branch there are never as many
		// levels as the number of pages has bits.
		if t.leaves >= 0 && level >= t.leaves || level-t.level > bits.Len64(w.f.meta.Pages) {
			return damaged(id, "is a branch at level %d, where its bucket must have leaves", level-t.level)
		}
		return w.branch(t, &p, level, first, end)
	}
	return damaged(id, "has type %#x, not that of a branch or a leaf", p.kind)
}

func (w *walker) branch(t *tree, p *page, level int, first, end []byte) error {
	at, err := p.bodies()
	if err != nil {
		return err
	}
	if p.count < 2 {
		return damaged(p.id, "is a branch of %d, and must have two children or more", p.count)
	}
	// The whole page is checked before its children are walked.
	var last []byte
	to := at
	for i := range p.count {
		key, _, next, err := p.child(i, to)
		if err != nil {
			return err
		}
		if err := w.ordered(p, i, last, key, first); err != nil {
			return err
		}
		last, to = key, next
	}
	if err := w.ends(p, to, last, end); err != nil {
		return err
	}
	key, child, at, err := p.child(0, at)
	for i := 1; i < p.count && err == nil; i++ {
		var next []byte
		var sibling uint64
		if next, sibling, at, err = p.child(i, at); err == nil {
			err = w.node(t, p.id, child, level+1, key, next)
		}
		key, child = next, sibling
	}
	if err != nil {
		return err
	}
	return w.node(t, p.id, child, level+1, key, end)
}

func (w *walker) leaf(t *tree, p *page, level int, first, end []byte) error {
	last, at, err := w.entries(t, p, level+1, first)
	if err != nil {
		return err
	}
	return w.ends(p, at, last, end)
}

// entries calls the tree's entry for each of a leaf, and returns the last key and
// where its bytes end. below is the level for what an entry leads to.
func (w *walker) entries(t *tree, p *page, below int, first []byte) (last []byte, at uint64, err error) {
	if at, err = p.bodies(); err != nil {
		return nil, 0, err
	}
	for i := range p.count {
		flags, key, value, to, err := p.entry(i, at)
		if err != nil {
			return nil, 0, err
		}
		if err := w.ordered(p, i, last, key, first); err != nil {
			return nil, 0, err
		}
		if err := t.entry(p.id, below, flags, key, value); err != nil {
			return nil, 0, err
		}
		last, at = key, to
	}
	return last, at, nil
}

// ordered checks the place of the i-th key of a page.
func (w *walker) ordered(p *page, i int, last, key, first []byte) error {
	if i > 0 && bytes.Compare(last, key) >= 0 {
		return damaged(p.id, "has its key %d out of order", i)
	}
	if i == 0 && first != nil && !bytes.Equal(first, key) {
		return damaged(p.id, "begins with another key than its parent says")
	}
	return nil
}

// ends checks the last key of a page, and where its bytes end.
func (w *walker) ends(p *page, at uint64, last, end []byte) error {
	if last != nil && end != nil && bytes.Compare(last, end) >= 0 {
		return damaged(p.id, "has keys that belong to the next page")
	}
	size := uint64(w.f.meta.PageSize)
	if (at+size-1)/size*size != uint64(len(p.data)) {
		return damaged(p.id, "has %d bytes, and takes %d pages", at, uint64(len(p.data))/size)
	}
	return nil
}

// read brings in a page with its overflow, and marks it as seen. The bytes are
// those of the level, and stay until the level is read again.
func (w *walker) read(id uint64, level int) (page, error) {
	size := w.f.meta.PageSize
	for len(w.levels) <= level {
		w.levels = append(w.levels, make([]byte, size))
	}
	buf := w.levels[level][:size]
	if err := readAt(w.f.r, buf, int64(id)*int64(size), id); err != nil {
		return page{}, err
	}
	says, kind, count, overflow := header(buf)
	if says != id {
		return page{}, damaged(id, "says it is page %d", says)
	}
	if uint64(overflow) >= w.f.meta.Pages-id || (uint64(overflow)+1)*uint64(size) > spanMax {
		return page{}, damaged(id, "says it takes %d pages more, where pages go from 2 to %d", overflow, w.f.meta.Pages-1)
	}
	for i := range uint64(overflow) + 1 {
		if !w.seen.add(id + i) {
			return page{}, damaged(id+i, "is in use twice")
		}
	}
	if overflow > 0 {
		span := (int(overflow) + 1) * size
		if cap(buf) < span {
			buf = append(make([]byte, 0, span), buf...)
			w.levels[level] = buf
		}
		buf = buf[:span]
		if err := readAt(w.f.r, buf[size:], (int64(id)+1)*int64(size), id); err != nil {
			return page{}, err
		}
	}
	return page{id: id, kind: kind, count: int(count), data: buf}, nil
}
