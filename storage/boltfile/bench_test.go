package boltfile_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/latchkey/latchkey/storage/boltfile"
)

// BenchmarkWalk reads a store of 1,000,000 keys beside bbolt's own cursor,
// which checks nothing, and bbolt's opening, which scans all pages.
func BenchmarkWalk(b *testing.B) {
	path := filepath.Join(b.TempDir(), "db")
	o := options(4096, true)
	db, err := bbolt.Open(path, 0o600, o)
	if err != nil {
		b.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	const keys, each = 1_000_000, 20_000
	for range keys / each {
		if err := db.Update(func(tx *bbolt.Tx) error {
			bucket, err := tx.CreateBucketIfNotExists([]byte("records"))
			if err != nil {
				return err
			}
			for range each {
				if err := bucket.Put(fmt.Appendf(nil, "key_%016x", random.Uint64()), make([]byte, 100)); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		b.Fatal(err)
	}
	var sum int
	b.Run("Walk", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f, err := boltfile.New(file, info.Size())
			if err != nil {
				b.Fatal(err)
			}
			stats, err := f.Walk(func(_ string, key, value []byte) error { sum += len(key) + len(value); return nil })
			if err != nil || stats.Keys != keys {
				b.Fatal(stats, err)
			}
			b.SetBytes(int64(stats.Reachable) * 4096)
		}
	})
	b.Run("bbolt open", func(b *testing.B) {
		for b.Loop() {
			db, err := bbolt.Open(path, 0o600, o)
			if err != nil {
				b.Fatal(err)
			}
			if err := db.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bbolt cursor", func(b *testing.B) {
		db, err := bbolt.Open(path, 0o600, o)
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		for b.Loop() {
			if err := db.View(func(tx *bbolt.Tx) error {
				return tx.Bucket([]byte("records")).ForEach(func(key, value []byte) error { sum += len(key) + len(value); return nil })
			}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
