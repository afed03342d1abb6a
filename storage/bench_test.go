package storage_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
)

// The benchmarks of this file do the same work by the store and by plain bbolt,
// in turns within one run, and report the ratio: times on their own say more
// about the machine. LATCHKEY_KEYS is how many keys there are.

func benchmarkKeys(b testing.TB, otherwise int) int {
	n := otherwise
	if text := os.Getenv("LATCHKEY_KEYS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			b.Fatalf("LATCHKEY_KEYS: %v", err)
		}
	}
	return n
}

func nthKey(i int) *key.Record {
	var seed [8]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(i))
	fields := key.Record{Policy: "shortkit", Type: "secret", Tenant: fmt.Sprintf("org:o_%d", i%1000), Name: "ci", Scopes: []string{"content:read"}}
	return key.Issue(fields, key.Secret{Digest: sha256.Sum256(seed[:]), Prefix: form.Prefix, Last4: "abcd"}, start)
}

// inOneGo is how many entries a transaction of the preparation takes. They come
// in order: bbolt moves what is behind an entry that comes in between.
const inOneGo = 20_000

// fill makes a store with so many keys.
func fill(b testing.TB, dir string, keys int) *storage.DB {
	b.Helper()
	db, err := storage.Open(dir, storage.Options{})
	if err != nil {
		b.Fatal(err)
	}
	records := make([]*key.Record, keys)
	for i := range records {
		records[i] = nthKey(i)
	}
	slices.SortFunc(records, func(a, b *key.Record) int { return strings.Compare(a.ID, b.ID) })
	for some := range slices.Chunk(records, inOneGo) {
		if _, err := db.Commit(context.Background(), storage.Change{Keys: some}); err != nil {
			b.Fatal(err)
		}
	}
	return db
}

// plain makes a bbolt file of its own with the same objects, unsealed, by id
// and by digest.
func plain(b testing.TB, path string, db *storage.DB) *bbolt.DB {
	b.Helper()
	bolt, err := bbolt.Open(path, 0o600, &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, NoStatistics: true, InitialMmapSize: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	type entry struct{ name, value []byte }
	var records, digests []entry
	_, err = db.Keys("", func(r *key.Record) bool {
		value, err := proto.Marshal(r.ToProto())
		if err != nil {
			b.Fatal(err)
		}
		records = append(records, entry{[]byte(r.ID), value})
		digests = append(digests, entry{r.Secrets[0].Digest[:], []byte(r.ID)})
		return true
	})
	if err != nil {
		b.Fatal(err)
	}
	slices.SortFunc(digests, func(a, b entry) int { return bytes.Compare(a.name, b.name) })
	for bucket, entries := range map[string][]entry{"records": records, "digests": digests} {
		for some := range slices.Chunk(entries, inOneGo) {
			err := bolt.Update(func(tx *bbolt.Tx) error {
				to, err := tx.CreateBucketIfNotExists([]byte(bucket))
				for _, e := range some {
					if err == nil {
						err = to.Put(e.name, e.value)
					}
				}
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	return bolt
}

// beside reports the time of two things, and their ratio.
func beside(b *testing.B, ours, theirs time.Duration, n int) {
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(ours.Nanoseconds())/float64(n), "ns/latchkey")
	b.ReportMetric(float64(theirs.Nanoseconds())/float64(n), "ns/bbolt")
	b.ReportMetric(float64(ours)/float64(theirs), "ratio")
}

// BenchmarkCommit makes one key a time, durably. bbolt has no log, no checksum,
// no watermark: a record and a digest.
func BenchmarkCommit(b *testing.B) {
	dir := b.TempDir()
	db := fill(b, filepath.Join(dir, "store"), benchmarkKeys(b, 10_000))
	bolt := plain(b, filepath.Join(dir, "plain.db"), db)
	var ours, theirs time.Duration
	n := 0
	for i := 1 << 40; b.Loop(); i++ {
		r := nthKey(i)
		begin := time.Now()
		if _, err := db.Commit(context.Background(), storage.Change{Action: "keys.create", Keys: []*key.Record{r}}); err != nil {
			b.Fatal(err)
		}
		ours += time.Since(begin)
		value := make([]byte, 300)
		begin = time.Now()
		err := bolt.Update(func(tx *bbolt.Tx) error {
			if err := tx.Bucket([]byte("digests")).Put(r.Secrets[0].Digest[:], []byte(r.ID)); err != nil {
				return err
			}
			return tx.Bucket([]byte("records")).Put([]byte(r.ID), value)
		})
		if err != nil {
			b.Fatal(err)
		}
		theirs += time.Since(begin)
		n++
	}
	beside(b, ours, theirs, n)
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	_ = bolt.Close()
}

// BenchmarkLookup goes from a digest to a record; bbolt's is left encoded.
func BenchmarkLookup(b *testing.B) {
	dir := b.TempDir()
	keys := benchmarkKeys(b, 10_000)
	db := fill(b, filepath.Join(dir, "store"), keys)
	bolt := plain(b, filepath.Join(dir, "plain.db"), db)
	digests := make([]key.Digest, 4096)
	for i := range digests {
		digests[i] = nthKey(i * 7919 % keys).Secrets[0].Digest
	}
	const turn = 1000
	var facts key.Facts
	var ours, theirs time.Duration
	n := 0
	for b.Loop() {
		begin := time.Now()
		for i := range turn {
			if !db.Now().Lookup(digests[(n+i)%len(digests)], &facts) {
				b.Fatal("a key is missing")
			}
		}
		ours += time.Since(begin)
		begin = time.Now()
		for i := range turn {
			err := bolt.View(func(tx *bbolt.Tx) error {
				d := digests[(n+i)%len(digests)]
				if tx.Bucket([]byte("records")).Get(tx.Bucket([]byte("digests")).Get(d[:])) == nil {
					b.Fatal("a key is missing")
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		theirs += time.Since(begin)
		n += turn
	}
	beside(b, ours, theirs, n)
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	_ = bolt.Close()
}

// BenchmarkStart opens a store that was closed: verified, and in memory. bbolt
// opens, finds its free pages, and looks at each value once.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	db := fill(b, filepath.Join(dir, "store"), benchmarkKeys(b, 10_000))
	bolt := plain(b, filepath.Join(dir, "plain.db"), db)
	var ours, theirs time.Duration
	n := 0
	for b.Loop() {
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
		if err := bolt.Close(); err != nil {
			b.Fatal(err)
		}
		begin := time.Now()
		var err error
		if db, err = storage.Open(filepath.Join(dir, "store"), storage.Options{}); err != nil {
			b.Fatal(err)
		}
		ours += time.Since(begin)
		begin = time.Now()
		if bolt, err = bbolt.Open(filepath.Join(dir, "plain.db"), 0o600, &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType}); err != nil {
			b.Fatal(err)
		}
		bytes := 0
		err = bolt.View(func(tx *bbolt.Tx) error {
			return tx.ForEach(func(_ []byte, bucket *bbolt.Bucket) error {
				return bucket.ForEach(func(_, value []byte) error { bytes += int(value[0]); return nil })
			})
		})
		if err != nil {
			b.Fatal(err)
		}
		theirs += time.Since(begin)
		n++
	}
	beside(b, ours, theirs, n)
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	_ = bolt.Close()
}
