package storage_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// BenchmarkOptions commits one small change a time to plain bbolt files that
// differ in their options, in turns, and opens each: it is why openBolt has the
// options that it has.
func BenchmarkOptions(b *testing.B) {
	keys := benchmarkKeys(b, 100_000)
	type variant struct {
		name         string
		options      bbolt.Options
		path         string
		bolt         *bbolt.DB
		commit, open time.Duration
	}
	variants := []*variant{
		{name: "ours", options: bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, InitialMmapSize: 1 << 30}},
		{name: "array", options: bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistArrayType, InitialMmapSize: 1 << 30}},
		{name: "synced", options: bbolt.Options{FreelistType: bbolt.FreelistMapType, InitialMmapSize: 1 << 30}},
		{name: "smallmap", options: bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType}},
		{name: "defaults"},
	}
	dir := b.TempDir()
	open := func(v *variant) {
		options := v.options
		options.NoStatistics = v.name != "defaults"
		begin := time.Now()
		var err error
		if v.bolt, err = bbolt.Open(v.path, 0o600, &options); err != nil {
			b.Fatal(err)
		}
		v.open += time.Since(begin)
	}
	name := func(i int) []byte { return fmt.Appendf(nil, "key_%032d", i) }
	value := make([]byte, 300)
	for _, v := range variants {
		v.path = filepath.Join(dir, v.name)
		open(v)
		for from := 0; from < keys; from += inOneGo {
			err := v.bolt.Update(func(tx *bbolt.Tx) error {
				bucket, err := tx.CreateBucketIfNotExists([]byte("records"))
				for i := from; i < min(from+inOneGo, keys) && err == nil; i++ {
					err = bucket.Put(name(i), value)
				}
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		// As many free pages as keys that are left have, as a slow reader or a
		// restore of a smaller store leaves them.
		for from := keys / 2; from < keys; from += inOneGo {
			err := v.bolt.Update(func(tx *bbolt.Tx) error {
				for i := from; i < min(from+inOneGo, keys); i++ {
					if err := tx.Bucket([]byte("records")).Delete(name(i)); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	n, opened := 0, 0
	for b.Loop() {
		for _, v := range variants {
			if n%64 == 0 {
				if err := v.bolt.Close(); err != nil {
					b.Fatal(err)
				}
				if n == 0 {
					v.open = 0
				}
				open(v)
			}
			begin := time.Now()
			err := v.bolt.Update(func(tx *bbolt.Tx) error {
				return tx.Bucket([]byte("records")).Put(name(n*7919%(keys/2)), value)
			})
			if err != nil {
				b.Fatal(err)
			}
			v.commit += time.Since(begin)
		}
		if n%64 == 0 {
			opened++
		}
		n++
	}
	b.ReportMetric(0, "ns/op")
	for _, v := range variants {
		b.ReportMetric(float64(v.commit)/float64(variants[0].commit), "commit/"+v.name)
		b.ReportMetric(float64(v.open)/float64(variants[0].open), "open/"+v.name)
		if err := v.bolt.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(variants[0].commit.Microseconds())/float64(n), "µs-commit/ours")
	b.ReportMetric(float64(variants[0].open.Microseconds())/float64(opened), "µs-open/ours")
}
