package usage

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage/tally"
)

var noon = time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)

func check(secret byte) *what {
	return &what{digest: key.Digest{secret, 8: secret}, reason: policy.Allowed}
}

// ever is how often secrets were presented, as a file has it.
func ever(t *testing.T, folder string, secrets ...byte) (n uint64) {
	t.Helper()
	f, err := tally.Open(tally.Options{Folder: folder, Reasons: reasons()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var digests []key.Digest
	for _, s := range secrets {
		digests = append(digests, check(s).digest)
	}
	all, err := f.Usage(digests, noon)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range all {
		for _, total := range u.Ever {
			n += total.N
		}
	}
	return n
}

// run runs a keeper until stop is called, which returns once it has ended.
func run(t *testing.T, k *Keeper) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := k.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	return func() { cancel(); <-done }
}

// Every check is counted once, by however many at the same time, while what was counted is taken out again and again.
func TestEveryCheckCountsOnce(t *testing.T) {
	folder := t.TempDir()
	k := New(Options{Folder: folder, Log: slog.New(slog.DiscardHandler), Flush: MinFlush})
	stop := run(t, k)
	// So few that each finds a shard that none of the others, nor who takes counts out, has just then.
	const checkers, each = tries - 1, 20_000
	var all sync.WaitGroup
	for n := range checkers {
		all.Go(func() {
			for i := range each {
				k.count(check(byte(i%7)), noon.Add(time.Duration(n)*time.Minute))
				if i%1000 == 0 {
					select {
					case k.soon <- struct{}{}: // as if the table were filling
					default:
					}
				}
			}
		})
	}
	all.Wait()
	stop()
	if got := ever(t, folder, 0, 1, 2, 3, 4, 5, 6); got != checkers*each {
		t.Errorf("%d are counted, want %d", got, checkers*each)
	}
}

// Taking counts out loses none of those that come at the same moment.
func TestNothingIsLostWhileItIsTakenOut(t *testing.T) {
	r := newRecorder(func(uint64) { t.Error("a check isn't counted") })
	const checkers, each = 4, 50_000
	var checking sync.WaitGroup
	for range checkers {
		checking.Go(func() {
			for i := range each {
				r.count(check(byte(i%200)), noon)
			}
		})
	}
	over := make(chan struct{})
	go func() { checking.Wait(); close(over) }()
	var all uint64
	take := func() {
		for _, c := range r.drain() {
			all += c.N
		}
	}
	for running := true; running; {
		select {
		case <-over:
			running = false
		default:
			take()
		}
	}
	take()
	if all != checkers*each {
		t.Errorf("%d are counted, want %d", all, checkers*each)
	}
}

// A table that is full drops, and says how many; what is in it goes on being counted.
func TestAFullTable(t *testing.T) {
	var lost uint64
	r := newRecorder(func(n uint64) { lost += n })
	const many = 2 * shards * shardEntries
	for i := range many {
		w := check(0)
		w.digest = key.Digest{byte(i), byte(i >> 8), byte(i >> 16), byte(i * 7), byte(i * 31), byte(i >> 3)}
		r.count(w, noon)
	}
	counts := r.drain()
	if lost == 0 || len(counts)+int(lost) != many || len(counts) > shards*shardFull || len(counts) < shards*shardFull*9/10 {
		t.Errorf("%d are counted and %d lost, of %d", len(counts), lost, many)
	}
	select {
	case <-r.soon:
	default:
		t.Error("no flush was asked for")
	}
	if more := r.drain(); len(more) != 0 {
		t.Errorf("%d are counted twice", len(more))
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	r := newRecorder(func(uint64) {})
	w := check(1)
	if n := testing.AllocsPerRun(1000, func() { r.count(w, noon) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// What can't be written down is kept in memory and written later; nothing is told twice.
func TestWithoutADisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := filepath.Join(t.TempDir(), "not there yet")
		var log strings.Builder
		k := New(Options{Folder: folder, Log: slog.New(slog.NewTextHandler(&log, nil))})
		stop := run(t, k)
		for range 10 {
			k.count(check(1), noon)
			time.Sleep(DefaultFlush)
		}
		synctest.Wait()
		if _, err := k.Current(); !errors.Is(err, tally.ErrClosed) || k.Report(t.Context(), tally.Report{}) == nil {
			t.Errorf("a file that can't be: %v", err)
		}
		if failed := value(t, k.metrics.failed); failed < 10 {
			t.Errorf("%v failures are counted", failed)
		}
		if all := k.Problems(); len(all) != 1 || !strings.Contains(all[0], "can't be written down") {
			t.Errorf("the problems are %q", all)
		}
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(DefaultFlush + retryEvery)
		if all := k.Problems(); len(all) > 0 {
			t.Errorf("it is over, and the problems are %q", all)
		}
		stop()
		if got := ever(t, folder, 1); got != 10 {
			t.Errorf("%d are counted, want 10", got)
		}
		if n := strings.Count(log.String(), "can't be written down"); n != 1 || !strings.Contains(log.String(), "written down again") {
			t.Errorf("it was told %d times:\n%s", n, log.String())
		}
	})
}

// Who asks sees every check until then, whenever the next flush is. The moment that is waited for the disk doesn't pass while
// it works, however slow it is.
func TestWhoAsksSeesWhatIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := New(Options{Folder: t.TempDir(), Log: slog.New(slog.DiscardHandler), Flush: MaxFlush})
		stop := run(t, k)
		defer stop()
		synctest.Wait()
		for n := range uint64(20) {
			k.count(check(1), noon)
			f, err := k.Current()
			if err != nil {
				t.Fatal(err)
			}
			all, err := f.Usage([]key.Digest{check(1).digest}, noon)
			if err != nil || len(all[0].Ever) != 1 || all[0].Ever[0].N != n+1 {
				t.Fatalf("after %d checks: %+v, %v", n+1, all, err)
			}
		}
	})
}

// Memory is bounded while nothing can be written.
func TestWhatIsHeldIsBounded(t *testing.T) {
	k := New(Options{Folder: "/nowhere", Log: slog.New(slog.DiscardHandler)})
	counts := make([]tally.Count, maxHeld+3)
	for i := range counts {
		counts[i].N = 2
	}
	k.hold(counts)
	if len(k.held) != maxHeld || value(t, k.metrics.drops[dropDisk]) != 6 {
		t.Errorf("%d are held, and %v dropped", len(k.held), value(t, k.metrics.drops[dropDisk]))
	}
}

// value is what a counter has come to.
func value(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil || len(families) != 1 {
		t.Fatal(families, err)
	}
	return families[0].GetMetric()[0].GetCounter().GetValue()
}

// hub is one that may be away, lose its answers or refuse.
type hub struct {
	mu    sync.Mutex
	err   error
	loses bool // the answer
	taken map[uint64]uint64
}

var errAway, errRefused = errors.New("away"), errors.New("refused")

func (h *hub) send(_ context.Context, m *replicav1.UsageBatch) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		return h.err
	}
	h.taken[m.GetNumber()] = 0
	for _, c := range m.GetCounts() {
		h.taken[m.GetNumber()] += c.GetCount()
	}
	if h.loses {
		return errAway
	}
	return nil
}

func (h *hub) set(err error, loses bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err, h.loses = err, loses
}

func (h *hub) total() (n uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, counted := range h.taken {
		n += counted
	}
	return n
}

// What a hub that is away didn't take is sent when it is back, also by the next process, and a refused batch holds up
// none.
func TestReporting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		h := &hub{taken: map[uint64]uint64{}}
		begin := func() (*Keeper, func()) {
			k := New(Options{Folder: folder, Send: h.send, Refused: func(err error) bool { return errors.Is(err, errRefused) }, Log: slog.New(slog.DiscardHandler)})
			return k, run(t, k)
		}
		k, stop := begin()
		k.count(check(1), noon)
		time.Sleep(DefaultFlush + time.Second)
		if h.total() != 1 {
			t.Fatalf("the hub has %d", h.total())
		}
		for i, trouble := range []func(){
			func() { h.set(errAway, false) },
			func() { h.set(nil, true) },
		} {
			trouble()
			k.count(check(1), noon)
			time.Sleep(DefaultFlush + time.Second)
			k.count(check(2), noon)
			stop()
			k, stop = begin()
			time.Sleep(DefaultFlush + time.Second)
			h.set(nil, false)
			time.Sleep(DefaultFlush + 30*time.Second)
			if want := uint64(1 + 2*(i+1)); h.total() != want {
				t.Fatalf("trouble %d: the hub has %d, want %d", i, h.total(), want)
			}
			if f, err := k.Current(); err != nil || f.Pending() != 0 {
				t.Fatalf("%d batches wait, %v", f.Pending(), err)
			}
		}
		h.set(errRefused, false)
		k.count(check(1), noon)
		time.Sleep(DefaultFlush + time.Second)
		h.set(nil, false)
		k.count(check(1), noon)
		stop() // and what is left is sent at the end
		if h.total() != 6 || value(t, k.metrics.drops[dropRefused]) != 1 {
			t.Errorf("the hub has %d, and %v were dropped", h.total(), value(t, k.metrics.drops[dropRefused]))
		}
	})
}

func TestMetricsFollowTheConventions(t *testing.T) {
	for _, send := range []func(context.Context, *replicav1.UsageBatch) error{nil, (&hub{}).send} {
		r := prometheus.NewRegistry()
		r.MustRegister(New(Options{Folder: t.TempDir(), Send: send}).Collectors()...)
		families, err := r.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for _, f := range families {
			if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
				t.Fatal(err)
			}
		}
		if problems, err := promlint.New(strings.NewReader(text.String())).Lint(); err != nil || len(problems) > 0 {
			t.Errorf("%v, %v", problems, err)
		}
	}
}

// BenchmarkCount counts checks of one key, and of many, by one goroutine and by all.
func BenchmarkCount(b *testing.B) {
	for name, keys := range map[string]int{"one key": 1, "4096 keys": 4096} {
		r := newRecorder(func(uint64) {})
		all := make([]*what, keys)
		for i := range all {
			all[i] = &what{digest: key.Digest{byte(i), byte(i >> 8), 4: byte(i * 7), 5: byte(i >> 4)}, reason: policy.Allowed}
		}
		b.Run(name+"/one", func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				w := *all[i%keys]
				r.count(&w, noon)
				i++
			}
		})
		b.Run(name+"/all", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					w := *all[i%keys]
					r.count(&w, noon)
				}
			})
		})
	}
}

// Where there is no file, and nothing to write either, nobody is told that usage is written down.
func TestNoFileAndNoChecks(t *testing.T) {
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, tally.Name), 0o700); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		k := New(Options{Folder: folder, Log: slog.New(slog.NewTextHandler(&log, nil))})
		stop := run(t, k)
		time.Sleep(5 * time.Minute)
		stop()
		if n := strings.Count(log.String(), "\n"); n != 1 || k.metrics.flush.Load() != 0 {
			t.Errorf("flushed at %d, and %d lines:\n%s", k.metrics.flush.Load(), n, log.String())
		}
	})
}

// Who asks after the file was removed is given the one that took its place, at once.
func TestWhoAsksAfterAFileWasRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		k := New(Options{Folder: folder, Log: slog.New(slog.DiscardHandler), Flush: MaxFlush})
		defer run(t, k)()
		synctest.Wait()
		if err := os.Remove(filepath.Join(folder, tally.Name)); err != nil {
			t.Fatal(err)
		}
		k.count(check(1), noon)
		f, err := k.Current()
		if err != nil {
			t.Fatal(err)
		}
		if all, err := f.Usage([]key.Digest{check(1).digest}, noon); err != nil || len(all[0].Ever) != 1 {
			t.Errorf("%+v, %v", all, err)
		}
	})
}

// A file that is removed isn't written to any longer: what comes is in the one that is there.
func TestAFileThatIsRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		var log strings.Builder
		k := New(Options{Folder: folder, Log: slog.New(slog.NewTextHandler(&log, nil)), Flush: MaxFlush})
		stop := run(t, k)
		synctest.Wait()
		written := func() { // waits until what was counted is in the file
			t.Helper()
			if _, err := k.Current(); err != nil {
				t.Fatal(err)
			}
		}
		k.count(check(1), noon)
		written()
		if err := os.Remove(filepath.Join(folder, tally.Name)); err != nil {
			t.Fatal(err)
		}
		k.count(check(2), noon)
		written()
		stop()
		if n := ever(t, folder, 1); n != 0 {
			t.Errorf("what was removed still counts %d", n)
		}
		if n := ever(t, folder, 2); n != 1 {
			t.Errorf("what came later counts %d, want 1", n)
		}
		if got := strings.Count(log.String(), "was removed"); got != 1 {
			t.Errorf("%d lines tell of it:\n%s", got, log.String())
		}
	})
}
