package boltfile

import "errors"

// ErrSkip is returned by the function that Walk calls, when it is called
// with a bucket's name and a nil key, to leave that bucket unread. A Walk that
// left one out vouches for the others alone.
var ErrSkip = errors.New("skip this bucket")

const (
	bucketFlag = 0x01 // of an element whose value is a bucket

	bucketSize = 16 // root and sequence
)

// bucket walks a bucket, which is an entry of the tree of buckets.
func (w *walker) bucket(id uint64, level int, flags uint32, key, value []byte) error {
	if flags != bucketFlag {
		return damaged(id, "has a key outside of all buckets, with flags %#x", flags)
	}
	if len(value) < bucketSize {
		return damaged(id, "has a bucket of %d bytes", len(value))
	}
	name := string(key)
	w.stats.Buckets++
	if err := w.do(name, nil, nil); err != nil {
		if errors.Is(err, ErrSkip) {
			w.skipped = true
			return nil
		}
		return err
	}
	t := tree{parent: id, entry: func(id uint64, below int, flags uint32, key, value []byte) error {
		if flags != 0 {
			return damaged(id, "has a bucket within the bucket %q, or unknown flags %#x", name, flags)
		}
		w.stats.Keys++
		w.stats.Depth = max(w.stats.Depth, below-level)
		return w.do(name, key, value)
	}}
	root := order.Uint64(value)
	if root == 0 {
		return w.inline(&t, name, value[bucketSize:], level)
	}
	if len(value) != bucketSize {
		return damaged(id, "has %d bytes behind the bucket %q", len(value)-bucketSize, name)
	}
	return w.tree(t, root, level)
}

// inline walks a bucket that is so small that its page is within its value.
func (w *walker) inline(t *tree, name string, data []byte, level int) error {
	if len(data) < headerSize {
		return damaged(t.parent, "has an inline bucket %q of %d bytes", name, len(data))
	}
	id, kind, count, overflow := header(data)
	if id != 0 || kind != leafPage || overflow != 0 {
		return damaged(t.parent, "has an inline bucket %q that isn't a leaf", name)
	}
	p := &page{id: t.parent, kind: kind, count: int(count), data: data}
	_, at, err := w.entries(t, p, level, nil)
	if err != nil {
		return err
	}
	if at != uint64(len(data)) {
		return damaged(t.parent, "has %d bytes behind the inline bucket %q", uint64(len(data))-at, name)
	}
	return nil
}
