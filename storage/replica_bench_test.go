package storage_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/latchkey/latchkey/storage"
)

// BenchmarkApply is what entries cost a replica, by how many come at once.
func BenchmarkApply(b *testing.B) {
	for _, batch := range []int{1, 100} {
		b.Run(fmt.Sprint(batch), func(b *testing.B) {
			keys := benchmarkKeys(b, 20_000)
			hub := fill(b, filepath.Join(b.TempDir(), "hub"), keys)
			defer hub.Close()
			replica := mustOpen(b, filepath.Join(b.TempDir(), "replica"), storage.Options{Replica: true})
			defer replica.Close()
			copyTo(b, hub, replica)
			for n := keys; b.Loop(); {
				b.StopTimer()
				for range batch {
					c := storage.Change{}
					c.Keys = append(c.Keys, nthKey(n))
					commit(b, hub, c)
					n++
				}
				entries, err := hub.Since(replica.Position(), 1<<30)
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				if _, err := replica.Apply(background, entries); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*batch), "µs/entry")
		})
	}
}

// BenchmarkSnapshot is what it takes to make a whole store a replica's, step by
// step, and how much more memory than before there is in use meanwhile.
func BenchmarkSnapshot(b *testing.B) {
	keys := benchmarkKeys(b, 100_000)
	hub := fill(b, filepath.Join(b.TempDir(), "hub"), keys)
	defer hub.Close()
	replica := mustOpen(b, filepath.Join(b.TempDir(), "replica"), storage.Options{Replica: true})
	defer replica.Close()
	path := filepath.Join(b.TempDir(), "snapshot")
	took := map[string]time.Duration{}
	most := map[string]uint64{}
	var bytes int64
	for b.Loop() {
		var e storage.Exported
		var s *storage.Staged
		for _, step := range []struct {
			name string
			do   func() error
		}{
			{"export", func() (err error) { e, bytes, err = exportTo(hub, path); return err }},
			{"stage", func() (err error) { s, err = stageFrom(replica, e, path); return err }},
			{"finish", func() error { return s.Finish(background) }},
			{"swap", func() error { _, err := s.Swap(background, false); return err }},
		} {
			begin := time.Now()
			peak, err := watched(step.do)
			if err != nil {
				b.Fatal(err)
			}
			took[step.name] += time.Since(begin)
			most[step.name] = max(most[step.name], peak)
		}
	}
	for name, d := range took {
		b.ReportMetric(float64(d.Milliseconds())/float64(b.N), name+"-ms")
		b.ReportMetric(float64(most[name])/(1<<20), name+"-MiB")
	}
	b.ReportMetric(float64(bytes)/float64(keys), "bytes/key")
}

// watched does something and returns how much the heap grew at most.
func watched(do func() error) (grew uint64, err error) {
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.NewTicker(2 * time.Millisecond); ; {
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
				runtime.ReadMemStats(&now)
				grew = max(grew, now.HeapAlloc-min(now.HeapAlloc, before.HeapAlloc))
			}
		}
	}()
	err = do()
	close(stop)
	<-done
	return grew, err
}

func exportTo(db *storage.DB, path string) (e storage.Exported, size int64, err error) {
	f, err := os.Create(path)
	if err != nil {
		return e, 0, err
	}
	defer f.Close()
	if e, err = db.Export(background, f); err != nil {
		return e, 0, err
	}
	info, err := f.Stat()
	return e, info.Size(), err
}

func stageFrom(db *storage.DB, e storage.Exported, path string) (*storage.Staged, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, err := db.Stage(e.Position, e.Latest, e.Origin)
	if err == nil {
		_, err = io.Copy(s, bufio.NewReaderSize(f, 64<<10))
	}
	return s, err
}
