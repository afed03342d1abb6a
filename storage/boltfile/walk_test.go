package boltfile_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/storage/boltfile"
)

// sane fails unless Walk takes the file and yields what bbolt does.
func sane(t interface {
	Fatalf(string, ...any)
	Helper()
}, path string, db *bbolt.DB, noFreelist bool,
) boltfile.Stats {
	t.Helper()
	want, err := cursors(db)
	if err != nil {
		t.Fatalf("cursors: %v", err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v", err)
	}
	f, err := image(content).open()
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	if got := f.Meta().Freelist == boltfile.NoFreelist; got != noFreelist {
		t.Fatalf("meta %+v, written with NoFreelistSync %t", f.Meta(), noFreelist)
	}
	got, stats, err := walked(f)
	if err != nil {
		t.Fatalf("Walk: %v", err)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("Walk yields\n%v\nbbolt yields\n%v", got, want)
	}
	return stats
}

func TestWalkYieldsWhatBboltDoes(t *testing.T) {
	dir := t.TempDir()
	var inline, branches, overflow, n int
	rapid.Check(t, func(t *rapid.T) {
		n++
		path := filepath.Join(dir, fmt.Sprint(n))
		pageSize := 1 << rapid.IntRange(10, 13).Draw(t, "pageSize")
		noFreelist := rapid.Bool().Draw(t, "noFreelist")
		db, err := bbolt.Open(path, 0o600, options(pageSize, noFreelist))
		if err != nil {
			t.Fatal(err)
		}
		defer os.Remove(path)
		defer func() { _ = db.Close() }()
		commits := rapid.IntRange(1, 12).Draw(t, "commits")
		for range commits {
			if err := db.Update(func(tx *bbolt.Tx) error { return change(t, tx, pageSize) }); err != nil {
				t.Fatal(err)
			}
			stats := sane(t, path, db, noFreelist)
			if stats.Depth > 1 {
				branches++
			}
			if stats.Buckets > 0 && stats.Depth == 0 {
				inline++
			}
			if stats.Reachable > stats.Keys+stats.Buckets+4 {
				overflow++
			}
		}
	})
	t.Logf("%d files; commits with branches %d, with nothing but inline buckets %d, with overflow %d", n, branches, inline, overflow)
}

// change draws one transaction: puts and deletes all over, some of them in
// long runs, which is what makes pages split and merge.
func change(t *rapid.T, tx *bbolt.Tx, pageSize int) error {
	for range rapid.IntRange(1, 4).Draw(t, "runs") {
		name := []byte(rapid.SampledFrom([]string{"a", "b", "middle", "z", "a long name, and a longer one, of a bucket"}).Draw(t, "bucket"))
		if rapid.IntRange(0, 19).Draw(t, "dropBucket") == 0 {
			if tx.Bucket(name) != nil {
				if err := tx.DeleteBucket(name); err != nil {
					return err
				}
			}
			continue
		}
		b, err := tx.CreateBucketIfNotExists(name)
		if err != nil {
			return err
		}
		from, count := rapid.IntRange(0, 400).Draw(t, "from"), rapid.IntRange(0, 300).Draw(t, "count")
		size := rapid.SampledFrom([]int{0, 1, 20, 200, pageSize, pageSize - 100, 3 * pageSize}).Draw(t, "size")
		step := rapid.IntRange(1, 7).Draw(t, "step")
		remove := rapid.Bool().Draw(t, "remove")
		if size >= pageSize-100 {
			count = min(count, 9)
		}
		for i := range count {
			key := fmt.Appendf(nil, "key %0*d", 4+(from+i*step)%11, from+i*step)
			if remove {
				err = b.Delete(key)
			} else {
				err = b.Put(key, bytes.Repeat([]byte{byte(i)}, size))
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// A list that is too long for the count in its page keeps it elsewhere, and a
// copy of a file has meta pages that bbolt's commits wouldn't write.
func TestLongListsAndCopies(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "db")
	db, err := bbolt.Open(path, 0o600, options(imagePage, false))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	name := []byte("bucket")
	for range 2 {
		err := db.Update(func(tx *bbolt.Tx) error {
			if tx.Bucket(name) != nil {
				return tx.DeleteBucket(name)
			}
			b, err := tx.CreateBucket(name)
			for i := 0; i < 70 && err == nil; i++ {
				err = b.Put([]byte{byte(i)}, make([]byte, 1<<20))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		sane(t, path, db, false)
	}
	if m := contents(t, path); m.count(m.freelist()) != 0xffff {
		t.Fatalf("the list counts %d pages, and is to be too long to count", m.count(m.freelist()))
	}
	for i := range 2 {
		if err := db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists(name)
			if err != nil {
				return err
			}
			return b.Put([]byte{byte(i)}, []byte("value"))
		}); err != nil {
			t.Fatal(err)
		}
		copied := filepath.Join(dir, "copy")
		if err := db.View(func(tx *bbolt.Tx) error { return tx.CopyFile(copied, 0o600) }); err != nil {
			t.Fatal(err)
		}
		sane(t, copied, db, false)
	}
}

// Many buckets make the tree of buckets a tree, too.
func TestManyBuckets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db, err := bbolt.Open(path, 0o600, options(imagePage, true))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for round := range 4 {
		if err := db.Update(func(tx *bbolt.Tx) error {
			for i := range 700 {
				name := fmt.Appendf(nil, "bucket %d", i*i)
				if round > 0 && (i+round)%3 == 0 {
					if err := tx.DeleteBucket(name); err != nil {
						return err
					}
					continue
				}
				b, err := tx.CreateBucketIfNotExists(name)
				if err != nil {
					return err
				}
				for j := range i % 20 {
					if err := b.Put(fmt.Append(nil, j), make([]byte, 40*round)); err != nil {
						return err
					}
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if stats := sane(t, path, db, true); stats.Buckets < 400 || stats.Depth == 0 {
			t.Errorf("%+v", stats)
		}
	}
}
