package boltfile_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/latchkey/latchkey/storage/boltfile"
)

// digest adds to a list, one line for each call, what Walk or a cursor yields.
func digest(list *[]string, bucket string, key, value []byte) {
	*list = append(*list, fmt.Sprintf("%q %x %t %x", bucket, key, key == nil, value))
}

// walked is all that Walk yields.
func walked(f *boltfile.File) ([]string, boltfile.Stats, error) {
	var list []string
	stats, err := f.Walk(func(bucket string, key, value []byte) error {
		digest(&list, bucket, key, value)
		return nil
	})
	return list, stats, err
}

// cursors is all that bbolt's cursors yield.
func cursors(db *bbolt.DB) (list []string, err error) {
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			digest(&list, string(name), nil, nil)
			return b.ForEach(func(key, value []byte) error {
				digest(&list, string(name), key, value)
				return nil
			})
		})
	})
	return list, err
}

func options(pageSize int, noFreelist bool) *bbolt.Options {
	return &bbolt.Options{PageSize: pageSize, NoFreelistSync: noFreelist, NoSync: true, FreelistType: bbolt.FreelistMapType}
}

// image is a whole file of pages of imagePage bytes, to be damaged. It knows
// the format on its own account, and never checks.
type image []byte

const imagePage = 1024

var order = binary.NativeEndian

func (m image) open() (*boltfile.File, error) {
	return boltfile.New(bytes.NewReader(m), int64(len(m)))
}

func (m image) page(id uint64) image { return m[id*imagePage:][:imagePage] }

// element is the i-th element of a page, whose kind it doesn't matter.
func (m image) element(id uint64, i int) image { return m[int(id)*imagePage+16+16*i:][:16] }

func (m image) count(id uint64) int { return int(order.Uint16(m.page(id)[10:])) }

func (m image) child(id uint64, i int) uint64 { return order.Uint64(m.element(id, i)[8:]) }

// latest is the number of the newer meta page.
func (m image) latest() uint64 {
	if order.Uint64(m.page(1)[16+48:]) > order.Uint64(m.page(0)[16+48:]) {
		return 1
	}
	return 0
}

func (m image) root() uint64     { return order.Uint64(m.page(m.latest())[16+16:]) }
func (m image) freelist() uint64 { return order.Uint64(m.page(m.latest())[16+32:]) }
func (m image) pages() uint64    { return order.Uint64(m.page(m.latest())[16+40:]) }

// seal makes the checksum of a meta page right again.
func (m image) seal(slot uint64) {
	body := m.page(slot)[16:]
	sum := fnv.New64a()
	sum.Write(body[:56])
	order.PutUint64(body[56:], sum.Sum64())
}

// entry finds the element of a bucket in the root, which must be a leaf, and
// where its value begins in the file.
func (m image) entry(bucket string) (element image, value int) {
	root := m.root()
	for i := range m.count(root) {
		e := m.element(root, i)
		key := int(root)*imagePage + 16 + 16*i + int(order.Uint32(e[4:]))
		end := key + int(order.Uint32(e[8:]))
		if string(m[key:end]) == bucket {
			return e, end
		}
	}
	panic("no bucket " + bucket)
}

func (m image) bucket(name string) uint64 {
	_, value := m.entry(name)
	return order.Uint64(m[value:])
}

// build makes a file with a bit of everything, and gives it as it was before
// its last commits, and after.
func build(t testing.TB, noFreelist bool) (before, after image) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	db, err := bbolt.Open(path, 0o600, options(imagePage, noFreelist))
	if err != nil {
		t.Fatal(err)
	}
	update := func(do func(put func(bucket, key string, size int), remove func(bucket, key string))) {
		t.Helper()
		err := db.Update(func(tx *bbolt.Tx) error {
			do(func(bucket, key string, size int) {
				b, err := tx.CreateBucketIfNotExists([]byte(bucket))
				if err != nil {
					t.Fatal(err)
				}
				if err := b.Put([]byte(key), bytes.Repeat([]byte{'v'}, size)); err != nil {
					t.Fatal(err)
				}
			}, func(bucket, key string) {
				if err := tx.Bucket([]byte(bucket)).Delete([]byte(key)); err != nil {
					t.Fatal(err)
				}
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	update(func(put func(string, string, int), _ func(string, string)) {
		for i := range 400 {
			put("deep", fmt.Sprintf("key %04d, made long so that branches are full soon", i), i%40)
		}
		for i := range 40 {
			put("flat", fmt.Sprint("key ", i), 30)
		}
		for i := range 9 {
			put("large", fmt.Sprint("key ", i), 700*i)
		}
		put("empty", "gone", 1)
		put("inline", "one", 10)
		put("inline", "two", 0)
		put("inline", "zero", 10)
	})
	update(func(_ func(string, string, int), remove func(string, string)) {
		remove("empty", "gone")
		for i := range 100 {
			remove("deep", fmt.Sprintf("key %04d, made long so that branches are full soon", 200+i))
		}
	})
	before = contents(t, path)
	for round := range 3 {
		update(func(put func(string, string, int), remove func(string, string)) {
			for i := range 30 {
				put("deep", fmt.Sprintf("key %04d, later", 13*i+round), 50)
				remove("deep", fmt.Sprintf("key %04d, made long so that branches are full soon", 7*i+round))
			}
			put("flat", fmt.Sprint("key ", 20+round), 90)
			put("large", "key 4", 2000*round)
		})
	}
	after = contents(t, path)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return before, after
}

func contents(t testing.TB, path string) image {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
