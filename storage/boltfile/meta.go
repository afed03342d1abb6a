package boltfile

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// Meta is the state of a file.
type Meta struct {
	TxID     uint64 // the transaction that wrote it
	PageSize int    // in bytes
	Root     uint64 // the page at which the tree of buckets begins
	Pages    uint64 // the high water mark: pages from this number on are not in use
	Freelist uint64 // the page of the list of free pages, or NoFreelist
	Slot     int    // the page that says so: 0 or 1
}

const (
	headerSize = 16 // of every page
	metaSize   = headerSize + 64

	magic   = 0xED0CDAED
	version = 2

	txIDMax = 1 << 62 // far beyond any, and far from where it would overflow
)

// The types of pages.
const (
	branchPage   = 0x01
	leafPage     = 0x02
	metaPage     = 0x04
	freelistPage = 0x10
)

var errNoMeta = errors.New("isn't that of a bbolt file")

// slot is a meta page as it was read.
type slot struct {
	Meta
	unread error // why bbolt itself wouldn't use it
	id     uint64
	kind   uint16
	flags  uint32
	size   uint32 // of a page, whatever it says
}

// readMetas looks for the meta pages where bbolt does: the first at the
// beginning, the second where the first says, or at any possible page size.
func readMetas(r io.ReaderAt, size int64) (metas [2]slot, err error) {
	if metas[0], err = readMeta(r, 0, 0); err != nil {
		return metas, err
	}
	if metas[0].unread == nil {
		if err := metas[0].checkPageSize(); err != nil {
			return metas, &Damage{Page: 0, Kind: BadMeta, What: err.Error()}
		}
		if int64(metas[0].PageSize) > size-metaSize {
			metas[1] = slot{Meta: Meta{Slot: 1}, unread: errors.New("is beyond the end of the file")}
			return metas, nil
		}
		metas[1], err = readMeta(r, 1, int64(metas[0].PageSize))
		return metas, err
	}
	metas[1] = slot{Meta: Meta{Slot: 1}, unread: errNoMeta}
	for at := int64(pageSizeMin); at <= pageSizeMax && at <= size-metaSize; at *= 2 {
		m, err := readMeta(r, 1, at)
		if err != nil {
			return metas, err
		}
		if m.unread != errNoMeta {
			metas[1] = m
		}
		if m.unread != nil {
			continue
		}
		if int64(metas[1].size) != at {
			return metas, &Damage{Page: 1, Kind: BadMeta, What: fmt.Sprintf("is at byte %d, and says pages of %d bytes", at, metas[1].size)}
		}
		return metas, nil
	}
	return metas, nil
}

func readMeta(r io.ReaderAt, page int, offset int64) (slot, error) {
	var buf [metaSize]byte
	if err := readAt(r, buf[:], offset, uint64(page)); err != nil {
		return slot{}, err
	}
	body := buf[headerSize:]
	m := slot{
		Meta: Meta{
			TxID:     order.Uint64(body[48:]),
			PageSize: int(order.Uint32(body[8:])),
			Root:     order.Uint64(body[16:]),
			Pages:    order.Uint64(body[40:]),
			Freelist: order.Uint64(body[32:]),
			Slot:     page,
		},
		id:    order.Uint64(buf[0:]),
		kind:  order.Uint16(buf[8:]),
		flags: order.Uint32(body[12:]),
		size:  order.Uint32(body[8:]),
	}
	sum := fnv.New64a()
	sum.Write(body[:56])
	switch {
	case order.Uint32(body[0:]) != magic:
		m.unread = errNoMeta
	case order.Uint32(body[4:]) != version:
		m.unread = fmt.Errorf("is of version %d of the format, not %d", order.Uint32(body[4:]), version)
	case order.Uint64(body[56:]) != sum.Sum64():
		m.unread = errors.New("has a wrong checksum")
	}
	return m, nil
}

func (m *slot) checkPageSize() error {
	if m.size < pageSizeMin || m.size > pageSizeMax || m.size&(m.size-1) != 0 {
		return fmt.Errorf("says pages of %d bytes", m.size)
	}
	return nil
}

// check looks at all that bbolt would believe, once the checksum is right.
func (m *slot) check() error {
	switch {
	case m.id != uint64(m.Slot):
		return fmt.Errorf("says it is page %d", m.id)
	case m.kind != metaPage:
		return fmt.Errorf("has type %#x, not that of a meta page", m.kind)
	case m.flags != 0:
		return fmt.Errorf("has unknown flags %#x", m.flags)
	case m.TxID > txIDMax:
		return fmt.Errorf("says transaction %d", m.TxID)
	case m.Root < 2 || m.Root >= m.Pages:
		return fmt.Errorf("has its root at page %d of %d", m.Root, m.Pages)
	case m.Freelist != NoFreelist && (m.Freelist < 2 || m.Freelist >= m.Pages):
		return fmt.Errorf("has its list of free pages at page %d of %d", m.Freelist, m.Pages)
	}
	return m.checkPageSize()
}

// fits reports whether the file has all the pages. bbolt would map them, and
// fault at the first that isn't there.
func (m *slot) fits(size int64) error {
	if m.Pages > uint64(size)/uint64(m.PageSize) {
		return fmt.Errorf("the file ends at byte %d, and has %d pages of %d bytes", size, m.Pages, m.PageSize)
	}
	return nil
}
