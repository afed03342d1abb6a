// Package boltfile reads a bbolt file that nobody vouches for.
//
// bbolt believes its file: it maps it and follows what it finds there, so that
// damaged bytes end in a panic, in a fault that no process can catch, or in
// answers that are silently wrong. This package reads the same format by
// ReadAt alone and believes nothing. It finds the damage, and names its page.
//
//	f, err := boltfile.New(file, size)
//	stats, err := f.Walk(func(bucket string, key, value []byte) error { ... })
//
// After a Walk without error bbolt can open the file and commit to it, with or
// without NoFreelistSync, as long as nobody else changes it. What Walk demands
// is therefore all that bbolt's scan of the pages demands, and beyond it what
// bbolt's commits take for granted:
//
//   - a branch names each child by the child's very first key, and has two
//     children or more; all leaves of a bucket are equally deep, and only a
//     bucket of one page may be without keys
//   - the elements of a page lie one after the other without gaps, and take as
//     many pages as the page says
//   - each page has one owner: a place in one tree, the list of free pages, or
//     an entry in that list
//
// Walk also refuses what bbolt would take but never a store of ours has:
// buckets in buckets, and keys outside of buckets.
//
// Whether the values are those that were written is not a question of the
// format, which has no checksums but in its two meta pages. Values that matter
// carry their own.
//
// # The format
//
// A file is pages of equal size. Pages 0 and 1 are meta pages, written in
// turns, so that the newer valid one is the state of the file. Each page
// begins with its number (8 bytes), its type (2), its count of elements (2)
// and how many pages more it takes (4). All numbers are in the byte order of
// the machine. An element of a branch is the place of the key, its length (4
// bytes each) and the child's page (8); one of a leaf is flags, place, length
// of the key and of the value (4 each). The root of all is a tree whose values
// are buckets: a root page and a sequence (8 bytes each). A bucket whose root
// is page 0 is small, and its only page follows in the value.
package boltfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// order is that of the machine, as bbolt casts memory to its types.
var order = binary.NativeEndian

const (
	pageSizeMin = 1 << 10
	pageSizeMax = 1 << 16

	// bytesMin is the size below which no bbolt file can be: two meta pages,
	// a list of free pages and a root, of the smallest size.
	bytesMin = 4 * pageSizeMin
)

// NoFreelist is Meta.Freelist of a file that doesn't keep its list of free pages.
const NoFreelist = 1<<64 - 1

// Kind is the class of a Damage: one word, fit for a file's name.
type Kind string

// The kinds of damage.
const (
	Truncated Kind = "truncated" // the file ends before what it says it has
	BadMeta   Kind = "meta"      // no meta page can be used
	BadPage   Kind = "page"      // a page is not what it must be
)

// Damage is what is wrong with a file, and where.
type Damage struct {
	Page uint64 // the page that is damaged, or whose reference is wrong
	Kind Kind
	What string // one sentence without its subject, the page
}

// Error says where and what.
func (d *Damage) Error() string { return fmt.Sprintf("page %d: %s", d.Page, d.What) }

func damaged(page uint64, format string, args ...any) error {
	return &Damage{Page: page, Kind: BadPage, What: fmt.Sprintf(format, args...)}
}

// File is a bbolt file, of which the meta pages have been read. It may be used
// by several goroutines, if its reader may.
type File struct {
	r    io.ReaderAt
	meta Meta
}

// New reads the meta pages of the file that is size bytes long, and chooses
// one as bbolt does: of those whose checksum is right, the one of the latest
// transaction. The file must not be written to as long as it is in use here.
//
// It returns a *Damage if bbolt couldn't or shouldn't use what it would choose,
// and for a file that is shorter than its pages. Errors of the reader are
// wrapped with the page.
func New(r io.ReaderAt, size int64) (*File, error) {
	if size < bytesMin {
		return nil, &Damage{Kind: Truncated, What: fmt.Sprintf("the file is %d bytes long, shorter than any store", size)}
	}
	metas, err := readMetas(r, size)
	if err != nil {
		return nil, err
	}
	chosen, other := &metas[0], &metas[1]
	if chosen.unread != nil || other.unread == nil && other.TxID > chosen.TxID {
		chosen, other = other, chosen
	}
	if chosen.unread != nil {
		return nil, neither(metas)
	}
	// bbolt takes the page size from the first meta page it can read, and
	// everything else from the latest.
	if metas[0].unread == nil && chosen.PageSize != metas[0].PageSize {
		return nil, &Damage{Page: uint64(chosen.Slot), Kind: BadMeta, What: fmt.Sprintf("says pages of %d bytes, and page 0 says %d", chosen.PageSize, metas[0].PageSize)}
	}
	if err := chosen.check(); err != nil {
		return nil, &Damage{Page: uint64(chosen.Slot), Kind: BadMeta, What: err.Error()}
	}
	if err := chosen.fits(size); err != nil {
		return nil, &Damage{Page: uint64(size / int64(chosen.PageSize)), Kind: Truncated, What: err.Error()}
	}
	return &File{r: r, meta: chosen.Meta}, nil
}

// CheckMetas returns a *Damage where bbolt can read neither meta page of a file that is size bytes long. The file may
// be written to meanwhile: a transaction writes one of them.
func CheckMetas(r io.ReaderAt, size int64) error {
	metas, err := readMetas(r, size)
	if err == nil && metas[0].unread != nil && metas[1].unread != nil {
		err = neither(metas)
	}
	return err
}

func neither(metas [2]slot) error {
	return &Damage{Kind: BadMeta, What: fmt.Sprintf("neither meta page can be read: page 0 %v, page 1 %v", metas[0].unread, metas[1].unread)}
}

// Meta is what the chosen meta page says.
func (f *File) Meta() Meta { return f.meta }

// readAt fills buf from a place within a page.
func readAt(r io.ReaderAt, buf []byte, offset int64, page uint64) error {
	n, err := r.ReadAt(buf, offset)
	switch {
	case n == len(buf):
		return nil
	case err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return &Damage{Page: page, Kind: Truncated, What: fmt.Sprintf("the file ends at byte %d, %d bytes before the page does", offset+int64(n), len(buf)-n)}
	}
	return fmt.Errorf("reading page %d: %w", page, err)
}
