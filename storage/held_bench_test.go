package storage_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
)

// BenchmarkHeldReader commits to two stores in turns, one of which has a read
// transaction of bbolt open all the while, as no method of the store does for
// longer than a backup's time limit. It reports the 99th percentile of a commit
// in both, and how much both files grew. LATCHKEY_COMMITS is how many commits
// there are, LATCHKEY_HELD how long the transaction is held at least.
func BenchmarkHeldReader(b *testing.B) {
	commits, held := 500, time.Duration(0)
	var err error
	if text := os.Getenv("LATCHKEY_COMMITS"); text != "" {
		if commits, err = strconv.Atoi(text); err != nil {
			b.Fatalf("LATCHKEY_COMMITS: %v", err)
		}
	}
	if text := os.Getenv("LATCHKEY_HELD"); text != "" {
		if held, err = time.ParseDuration(text); err != nil {
			b.Fatalf("LATCHKEY_HELD: %v", err)
		}
	}
	for b.Loop() {
		heldReader(b, commits, held)
	}
	b.ReportMetric(0, "ns/op")
}

func heldReader(b *testing.B, commits int, held time.Duration) {
	type side struct {
		dir    string
		db     *storage.DB
		before int64
		times  []time.Duration
	}
	sides := map[string]*side{"free": {}, "held": {}}
	for name, s := range sides {
		s.dir = filepath.Join(b.TempDir(), name)
		s.db = fill(b, s.dir, benchmarkKeys(b, 10_000))
		s.before = fileSize(b, s.dir)
	}
	reader, err := sides["held"].db.Bolt().Begin(false)
	if err != nil {
		b.Fatal(err)
	}
	begin := time.Now()
	for i := range commits {
		r := nthKey(1<<40 + i)
		for _, s := range sides {
			at := time.Now()
			if _, err := s.db.Commit(context.Background(), storage.Change{Action: "keys.create", Keys: []*key.Record{r}}); err != nil {
				b.Fatal(err)
			}
			s.times = append(s.times, time.Since(at))
		}
	}
	<-time.After(held - time.Since(begin))
	if err := reader.Rollback(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(time.Since(begin).Seconds(), "s/held")
	for name, s := range sides {
		slices.Sort(s.times)
		b.ReportMetric(float64(s.times[len(s.times)/2].Microseconds()), "µs-p50/"+name)
		b.ReportMetric(float64(s.times[len(s.times)*99/100].Microseconds()), "µs-p99/"+name)
		b.ReportMetric(float64(fileSize(b, s.dir)-s.before)/(1<<20), "MiB-growth/"+name)
		if err := s.db.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func fileSize(b testing.TB, dir string) int64 {
	b.Helper()
	info, err := os.Stat(filepath.Join(dir, storage.FileName))
	if err != nil {
		b.Fatal(err)
	}
	return info.Size()
}
