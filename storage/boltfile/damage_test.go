package boltfile_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/latchkey/latchkey/storage/boltfile"
)

func TestDamageIsNamed(t *testing.T) {
	_, kept := build(t, false)
	_, scanned := build(t, true)
	root, deep, flat, large := kept.root(), kept.bucket("deep"), kept.bucket("flat"), kept.bucket("large")
	branch, latest, list := kept.child(deep, 1), kept.latest(), kept.freelist()
	leaf := kept.child(branch, 1)
	var spread uint64 // a leaf with overflow
	for i := range kept.count(large) {
		if id := kept.child(large, i); order.Uint32(kept.page(id)[12:]) > 0 {
			spread = id
		}
	}
	if kept.count(deep) < 2 || kept.page(branch)[8] != 1 || kept.page(leaf)[8] != 2 || spread == 0 || scanned.freelist() != boltfile.NoFreelist {
		t.Fatalf("the file isn't what the cases below are made for: deep %d, branch of type %d, leaf of type %d, spread %d", kept.count(deep), kept.page(branch)[8], kept.page(leaf)[8], spread)
	}
	u64 := func(p []byte, n uint64) { order.PutUint64(p, n) }
	u32 := func(p []byte, n uint32) { order.PutUint32(p, n) }
	u16 := func(p []byte, n uint16) { order.PutUint16(p, n) }

	for _, c := range []struct {
		name   string
		damage func(m image) image
		page   uint64
		kind   boltfile.Kind
		what   string
	}{
		{"nothing there", func(m image) image { return nil }, 0, boltfile.Truncated, "0 bytes long"},
		{"a few bytes", func(m image) image { return m[:4095] }, 0, boltfile.Truncated, "4095 bytes long"},
		{"a byte short", func(m image) image { return m[:m.pages()*imagePage-1] }, kept.pages() - 1, boltfile.Truncated, "the file ends"},
		{"half", func(m image) image { return m[:m.pages()/2*imagePage] }, kept.pages() / 2, boltfile.Truncated, "the file ends"},
		{"no meta pages", func(m image) image { clear(m[:2*imagePage]); return m }, 0, boltfile.BadMeta, "neither meta page"},
		{"text", func(m image) image { return bytes.Repeat([]byte("text\n"), 2000) }, 0, boltfile.BadMeta, "neither meta page"},
		{"version", func(m image) image {
			for i := range uint64(2) {
				u32(m.page(i)[20:], 3)
				m.seal(i)
			}
			return m
		}, 0, boltfile.BadMeta, "page 1 is of version 3"},
		{"checksums", func(m image) image { m[16+63] ^= 1; m.page(1)[16+63] ^= 1; return m }, 0, boltfile.BadMeta, "wrong checksum"},
		{"page size of 512", func(m image) image { u32(m[24:], 512); m.seal(0); return m }, 0, boltfile.BadMeta, "pages of 512 bytes"},
		{"page size that is no power of two", func(m image) image { u32(m[24:], 1025); m.seal(0); return m }, 0, boltfile.BadMeta, "pages of 1025 bytes"},
		{"page size of the second alone", func(m image) image {
			clear(m.page(0))
			u32(m.page(1)[24:], 2048)
			m.seal(1)
			return m
		}, 1, boltfile.BadMeta, "pages of 2048 bytes"},
		{"two page sizes", func(m image) image {
			u64(m.page(1)[16+48:], 1000)
			u32(m.page(1)[24:], 2048)
			m.seal(1)
			return m
		}, 1, boltfile.BadMeta, "page 0 says 1024"},
		{"number of a meta page", func(m image) image { m.page(latest)[0] ^= 1; return m }, latest, boltfile.BadMeta, "says it is page"},
		{"type of a meta page", func(m image) image { m.page(latest)[8] = 2; return m }, latest, boltfile.BadMeta, "type 0x2"},
		{"flags of a meta page", func(m image) image { m.page(latest)[28] = 1; m.seal(latest); return m }, latest, boltfile.BadMeta, "flags 0x1"},
		{"a transaction beyond all", func(m image) image { u64(m.page(latest)[16+48:], 1<<63); m.seal(latest); return m }, latest, boltfile.BadMeta, "transaction 9223372036854775808"},
		{"root is a meta page", func(m image) image { u64(m.page(latest)[32:], 1); m.seal(latest); return m }, latest, boltfile.BadMeta, "root at page 1 "},
		{"root beyond all", func(m image) image { u64(m.page(latest)[32:], m.pages()); m.seal(latest); return m }, latest, boltfile.BadMeta, "root at page"},
		{"list beyond all", func(m image) image { u64(m.page(latest)[48:], m.pages()); m.seal(latest); return m }, latest, boltfile.BadMeta, "list of free pages at page"},

		{"zeroed page", func(m image) image { clear(m.page(leaf)); return m }, leaf, boltfile.BadPage, "says it is page 0"},
		{"page of another place", func(m image) image { copy(m.page(leaf), m.page(flat)); return m }, leaf, boltfile.BadPage, "says it is page"},
		{"two types", func(m image) image { m.page(leaf)[8] = 3; return m }, leaf, boltfile.BadPage, "type 0x3"},
		{"root of another type", func(m image) image { m.page(root)[8] = 4; return m }, root, boltfile.BadPage, "type 0x4"},
		{"too many elements", func(m image) image { u16(m.page(leaf)[10:], 64); return m }, leaf, boltfile.BadPage, "64 elements"},
		{"all elements", func(m image) image { u16(m.page(leaf)[10:], 0xffff); return m }, leaf, boltfile.BadPage, "65535 elements"},
		{"one element less", func(m image) image { u16(m.page(leaf)[10:], uint16(m.count(leaf))-1); return m }, leaf, boltfile.BadPage, "key 0 at byte"},
		{"no elements", func(m image) image { u16(m.page(leaf)[10:], 0); return m }, leaf, boltfile.BadPage, "no keys"},
		{"a branch without", func(m image) image { u16(m.page(branch)[10:], 0); return m }, branch, boltfile.BadPage, "branch of 0"},
		{"overflow beyond all", func(m image) image { u32(m.page(leaf)[12:], 1<<31); return m }, leaf, boltfile.BadPage, "2147483648 pages more"},
		{"overflow of somebody else's", func(m image) image { u32(m.page(spread)[12:], 9); return m }, 0, boltfile.BadPage, ""},
		{"overflow too short", func(m image) image { u32(m.page(spread)[12:], 0); return m }, spread, boltfile.BadPage, "before its key"},
		{"overflow too long", func(m image) image { u32(m.element(spread, m.count(spread)-1)[12:], 0); return m }, spread, boltfile.BadPage, " bytes, and takes "},
		{"place of a key", func(m image) image { m.element(leaf, 2)[4] ^= 1; return m }, leaf, boltfile.BadPage, "key 2 at byte"},
		{"empty key", func(m image) image { u32(m.element(leaf, 1)[8:], 0); return m }, leaf, boltfile.BadPage, "empty key 1"},
		{"endless key", func(m image) image { u32(m.element(leaf, 1)[8:], 1<<32-1); return m }, leaf, boltfile.BadPage, "before its key 1"},
		{"endless value", func(m image) image { u32(m.element(leaf, 0)[12:], 1<<32-1); return m }, leaf, boltfile.BadPage, "before its key 0"},
		{"order", func(m image) image { m.key(leaf, 1)[4] = '0' - 1; return m }, leaf, boltfile.BadPage, "key 1 out of order"},
		{"the same key twice", func(m image) image { copy(m.key(branch, 1), m.key(branch, 0)[:20]); return m }, branch, boltfile.BadPage, "out of order"},
		{"first key", func(m image) image { m.key(leaf, 0)[9] ^= 1; return m }, leaf, boltfile.BadPage, "another key than its parent says"},
		{"last key", func(m image) image { m.key(leaf, m.count(leaf)-1)[5] = '9'; return m }, leaf, boltfile.BadPage, "belong to the next page"},
		{"child is a meta page", func(m image) image { u64(m.element(branch, 1)[8:], 1); return m }, branch, boltfile.BadPage, "refers to page 1,"},
		{"child beyond all", func(m image) image { u64(m.element(branch, 1)[8:], m.pages()); return m }, branch, boltfile.BadPage, "refers to page"},
		{"child is its parent", func(m image) image { u64(m.element(branch, 1)[8:], branch); return m }, branch, boltfile.BadPage, "in use twice"},
		{"child is another's", func(m image) image { u64(m.element(branch, 1)[8:], m.child(m.child(deep, 0), 0)); return m }, 0, boltfile.BadPage, "in use twice"},
		{"leaf where a branch must be", func(m image) image { u64(m.element(deep, 1)[8:], m.child(branch, 0)); return m }, kept.child(branch, 0), boltfile.BadPage, "is a leaf at level 1"},
		{"branch where a leaf must be", func(m image) image { u64(m.element(kept.child(deep, 0), 1)[8:], branch); return m }, branch, boltfile.BadPage, "is a branch at level 2"},
		{"an only child", only(deep), deep, boltfile.BadPage, "branch of 1"},
		{"bucket in a bucket", func(m image) image { m.element(leaf, 0)[0] = 1; return m }, leaf, boltfile.BadPage, "bucket within the bucket"},
		{"unknown flags of a key", func(m image) image { m.element(leaf, 0)[3] = 1; return m }, leaf, boltfile.BadPage, "unknown flags"},
		{"key outside of buckets", func(m image) image { e, _ := m.entry("large"); e[0] = 0; return m }, root, boltfile.BadPage, "outside of all buckets"},
		{"short bucket", func(m image) image { e, _ := m.entry("large"); u32(e[12:], 15); return m }, root, boltfile.BadPage, "bucket of 15 bytes"},
		{"long bucket", func(m image) image { e, _ := m.entry("large"); u32(e[12:], 17); return m }, root, boltfile.BadPage, "1 bytes behind"},
		{"bucket isn't inline", func(m image) image { _, v := m.entry("large"); u64(m[v:], 0); return m }, root, boltfile.BadPage, "inline bucket \"large\" of 0 bytes"},
		{"bucket is inline", func(m image) image { _, v := m.entry("inline"); u64(m[v:], flat); return m }, root, boltfile.BadPage, "behind the bucket"},
		{"inline page's number", func(m image) image { _, v := m.entry("inline"); m[v+16] = 1; return m }, root, boltfile.BadPage, "isn't a leaf"},
		{"inline branch", func(m image) image { _, v := m.entry("inline"); m[v+24] = 1; return m }, root, boltfile.BadPage, "isn't a leaf"},
		{"inline count", func(m image) image { _, v := m.entry("inline"); m[v+26] = 200; return m }, root, boltfile.BadPage, "200 elements"},
		{"inline order", func(m image) image { _, v := m.entry("inline"); m[v+32+48] = 'x'; return m }, root, boltfile.BadPage, "key 1 out of order"},
		{"inline end", func(m image) image { _, v := m.entry("inline"); m[v+32+44]--; return m }, root, boltfile.BadPage, "1 bytes behind the inline bucket"},

		{"list of another type", func(m image) image { m.page(list)[8] = 2; return m }, list, boltfile.BadPage, "type 0x2"},
		{"list is a leaf in use", func(m image) image { u64(m.page(latest)[48:], leaf); m.seal(latest); return m }, leaf, boltfile.BadPage, "in use twice"},
		{"list too long", func(m image) image { u16(m.page(list)[10:], 0xfffe); return m }, list, boltfile.BadPage, "lists 65534 pages"},
		{"list counted in its entry", func(m image) image { u16(m.page(list)[10:], 0xffff); return m.put(list, 0, 1<<60) }, list, boltfile.BadPage, "lists 1152921504606846976 pages"},
		{"list too short", func(m image) image { u16(m.page(list)[10:], uint16(m.count(list))-1); return m }, list, boltfile.BadPage, "1 pages are neither"},
		{"listed twice", func(m image) image { return m.put(list, 1, order.Uint64(m.page(list)[16:])) }, list, boltfile.BadPage, "out of order"},
		{"listed meta page", func(m image) image { return m.put(list, 0, 1) }, list, boltfile.BadPage, "free page 1 out of order"},
		{"listed in use", func(m image) image { u16(m.page(list)[10:], 1); return m.put(list, 0, leaf) }, list, boltfile.BadPage, "is in use"},
		{"listed beyond all", func(m image) image { u16(m.page(list)[10:], 1); return m.put(list, 0, m.pages()) }, list, boltfile.BadPage, "lists free page"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := c.damage(slices.Clone(kept)).open()
			if err == nil {
				_, _, err = walked(f)
			}
			var damage *boltfile.Damage
			if !errors.As(err, &damage) {
				t.Fatalf("got %v, want a Damage", err)
			}
			t.Log(damage)
			if damage.Kind != c.kind || c.page > 0 && damage.Page != c.page || !strings.Contains(damage.What, c.what) {
				t.Errorf("got %s of page %d: %s; want %s of page %d: %s", damage.Kind, damage.Page, damage.What, c.kind, c.page, c.what)
			}
		})
	}
}

// key is where the i-th key of a page begins.
func (m image) key(id uint64, i int) image {
	e := m.element(id, i)
	at := 4
	if m.page(id)[8] == 1 {
		at = 0
	}
	return m[int(id)*imagePage+16+16*i+int(order.Uint32(e[at:])):]
}

// put sets the i-th entry of a list of free pages.
func (m image) put(list uint64, i int, id uint64) image {
	order.PutUint64(m.page(list)[16+8*i:], id)
	return m
}

// only leaves a branch its first child, in a page that is right in all else.
func only(id uint64) func(m image) image {
	return func(m image) image {
		size := order.Uint32(m.element(id, 0)[4:])
		key := append([]byte(nil), m.key(id, 0)[:size]...)
		order.PutUint16(m.page(id)[10:], 1)
		order.PutUint32(m.element(id, 0), 16)
		copy(m.page(id)[32:], key)
		return m
	}
}

// A machine that dies while it writes a meta page leaves the other.
func TestTornMetaPageIsNoDamage(t *testing.T) {
	_, m := build(t, true)
	latest := m.latest()
	for _, c := range []struct {
		name string
		slot uint64
	}{{"the latest", latest}, {"the one before", 1 - latest}} {
		t.Run(c.name, func(t *testing.T) {
			m := slices.Clone(m)
			m.page(c.slot)[16+50] ^= 1
			f, err := m.open()
			if err != nil {
				t.Fatal(err)
			}
			if got := f.Meta(); got.Slot != int(1-c.slot) {
				t.Errorf("chose %+v", got)
			}
			// With NoFreelistSync the pages of the state before stay as they
			// were until the commit that follows.
			if _, _, err := walked(f); err != nil {
				t.Errorf("Walk: %v", err)
			}
		})
	}
}

type failing struct {
	io.ReaderAt
	from int64
}

var errDisk = errors.New("input/output error")

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > f.from {
		return 0, errDisk
	}
	return f.ReaderAt.ReadAt(p, off)
}

func TestErrorsOfTheReaderAreNoDamage(t *testing.T) {
	_, m := build(t, true)
	for _, from := range []int64{0, 2 * imagePage, int64(m.root())*imagePage + 1, int64(m.bucket("flat")) * imagePage} {
		f, err := boltfile.New(failing{bytes.NewReader(m), from}, int64(len(m)))
		if err == nil {
			_, _, err = walked(f)
		}
		var damage *boltfile.Damage
		if !errors.Is(err, errDisk) || errors.As(err, &damage) || !strings.Contains(err.Error(), "reading page ") {
			t.Errorf("failing from byte %d: %v", from, err)
		}
	}
	// A file that became shorter since its size was asked for.
	f, err := boltfile.New(bytes.NewReader(m[:m.root()*imagePage+9]), int64(len(m)))
	if err == nil {
		_, _, err = walked(f)
	}
	var damage *boltfile.Damage
	if !errors.As(err, &damage) || damage.Kind != boltfile.Truncated {
		t.Errorf("a file that ends in its root: %v", err)
	}
}

func TestErrorOfTheCallerEndsTheWalk(t *testing.T) {
	_, m := build(t, true)
	f, err := m.open()
	if err != nil {
		t.Fatal(err)
	}
	want, _, err := walked(f)
	if err != nil {
		t.Fatal(err)
	}
	stop := errors.New("enough")
	for _, calls := range []int{1, 2, len(want) / 2, len(want)} {
		n := 0
		_, err := f.Walk(func(string, []byte, []byte) error {
			if n++; n == calls {
				return stop
			}
			return nil
		})
		if err != stop || n != calls {
			t.Errorf("%d calls and %v, want %d and the caller's error", n, err, calls)
		}
	}
}

func TestSkippedBucketsAreNotRead(t *testing.T) {
	for _, noFreelist := range []bool{false, true} {
		_, m := build(t, noFreelist)
		clear(m.page(m.bucket("deep")))
		f, err := m.open()
		if err != nil {
			t.Fatal(err)
		}
		var seen []string
		stats, err := f.Walk(func(bucket string, key, _ []byte) error {
			if bucket == "deep" && key == nil {
				return boltfile.ErrSkip
			}
			if !slices.Contains(seen, bucket) {
				seen = append(seen, bucket)
			}
			return nil
		})
		if want := []string{"empty", "flat", "inline", "large"}; err != nil || !slices.Equal(seen, want) || stats.Buckets != 5 {
			t.Errorf("NoFreelistSync %t: saw %q of %+v and %v, want %q", noFreelist, seen, stats, err, want)
		}
	}
}

func TestNestedBucketsAreRefused(t *testing.T) {
	path := t.TempDir() + "/db"
	db, err := bbolt.Open(path, 0o600, options(imagePage, true))
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte("outer"))
		if err == nil {
			_, err = b.CreateBucket([]byte("inner"))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := contents(t, path).open()
	if err == nil {
		_, _, err = walked(f)
	}
	if err == nil || !strings.Contains(err.Error(), `a bucket within the bucket "outer"`) {
		t.Errorf("got %v", err)
	}
}
