package decisionlog

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/latchkey/latchkey/authz"
)

func open(tb testing.TB, o Options) *Log {
	tb.Helper()
	l, err := New(o, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// ask makes so many checks: of the token, or of nobody where it is empty.
func ask(tb testing.TB, s *authz.Server, times int, headers ...string) {
	tb.Helper()
	check := request("GET", "api.acme.example", "/things", headers...)
	for range times {
		if _, err := s.Check(context.Background(), check); err != nil {
			tb.Fatal(err)
		}
	}
}

// ended runs a log whose context has ended.
func ended(tb testing.TB, l *Log) {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	cancel()
	if err := l.Run(ctx); err != nil {
		tb.Fatal(err)
	}
}

func linesOf(tb testing.TB, path string) []string {
	tb.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return strings.SplitAfter(string(text), "\n")
}

// TestAllThatCameIsWrittenAtTheEnd: of denials all, of what is allowed a share.
func TestAllThatCameIsWrittenAtTheEnd(t *testing.T) {
	for _, c := range []struct {
		share       float64
		least, most int // of 1000 that are allowed
	}{{0, 0, 0}, {1, 1000, 1000}, {0.5, 400, 600}} {
		path := filepath.Join(t.TempDir(), "decisions.ndjson")
		l := open(t, Options{Path: path, AllowSample: c.share, MaxSize: defaultMaxSize, MaxFiles: 2})
		s := server(t, l)
		ask(t, s, 1000, bearer)
		ask(t, s, 1000)
		ended(t, l)
		got := map[string]int{}
		for _, line := range linesOf(t, path) {
			if line != "" {
				got[fields(t, line)["decision"].(string)]++
			}
		}
		if got["deny"] != 1000 || got["allow"] < c.least || got["allow"] > c.most {
			t.Errorf("of a share of %v: %v", c.share, got)
		}
		if n := count(t, l.written); int(n) != got["deny"]+got["allow"] {
			t.Errorf("%v are counted, %v written", n, got)
		}
	}
}

// TestAnOutputThatTakesNothingHoldsUpNobody: a pipe that nobody reads, and then nobody has.
func TestAnOutputThatTakesNothingHoldsUpNobody(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	l := open(t, Options{Path: filepath.Join(t.TempDir(), "unused"), AllowSample: 1, MaxSize: defaultMaxSize, MaxFiles: 1})
	if err := l.to.Close(); err != nil {
		t.Fatal(err)
	}
	l.to = w
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error)
	go func() { ran <- l.Run(ctx) }()
	s := server(t, l)
	const checks = 3 * bufferSize / 200 // more than pipe and both buffers take
	ask(t, s, checks)
	dropped := count(t, l.dropped)
	if dropped == 0 {
		t.Error("nothing was dropped")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	if total := count(t, l.written) + count(t, l.dropped); total != checks {
		t.Errorf("%v of %d checks are counted", total, checks)
	}
}

// breaks fails the first write within a line.
type breaks struct {
	at     int
	failed bool
	got    []byte
}

func (b *breaks) Write(p []byte) (int, error) {
	if !b.failed {
		b.failed = true
		b.got = append(b.got, p[:b.at]...)
		return b.at, syscall.ENOSPC
	}
	b.got = append(b.got, p...)
	return len(p), nil
}

func (b *breaks) Close() error { return nil }

// TestATornLineEnds: the one after it is whole, and each that isn't there is counted.
func TestATornLineEnds(t *testing.T) {
	l := open(t, Options{Path: filepath.Join(t.TempDir(), "unused"), MaxSize: defaultMaxSize, MaxFiles: 1})
	b := &breaks{at: 8}
	l.to = b
	l.write([]byte("{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n"))
	b.failed, b.at = false, 3
	l.write([]byte("{\"d\":4}\n"))
	l.write([]byte("{\"e\":5}\n"))
	if want := "{\"a\":1}\n{\"d\n{\"e\":5}\n"; string(b.got) != want {
		t.Errorf("written is %q, want %q", b.got, want)
	}
	if w, d := count(t, l.written), count(t, l.dropped); w != 2 || d != 3 {
		t.Errorf("%v are counted as written, %v as dropped", w, d)
	}
}

// TestObservingAllocatesNothing, whatever the reason, whether the line is kept or dropped.
func TestObservingAllocatesNothing(t *testing.T) {
	l := open(t, Options{Path: filepath.Join(t.TempDir(), "unused"), AllowSample: 1, MaxSize: defaultMaxSize, MaxFiles: 1})
	kept := &kept{}
	s := server(t, kept)
	for name, headers := range map[string][]string{"allowed": {bearer}, "refused": nil} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			kept.observe = func(o *authz.Observation) {
				if n := testing.AllocsPerRun(100, func() { l.Observe(t.Context(), o) }); n != 0 {
					t.Errorf("%s, %s: %v allocations", method, name, n)
				}
			}
			if _, err := s.Check(t.Context(), request(method, "api.acme.example", "/things/5", headers...)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// kept shows an observation to the test while it is valid.
type kept struct{ observe func(*authz.Observation) }

func (k *kept) Observe(_ context.Context, o *authz.Observation) { k.observe(o) }

func BenchmarkObserve(b *testing.B) {
	for name, c := range map[string]struct {
		share   float64
		headers []string
	}{"denied": {0, nil}, "allowed": {1, []string{bearer}}, "allowed, not sampled": {0.001, []string{bearer}}} {
		b.Run(name, func(b *testing.B) {
			l := open(b, Options{Path: filepath.Join(b.TempDir(), "decisions.ndjson"), AllowSample: c.share, MaxSize: defaultMaxSize, MaxFiles: 1})
			ctx, cancel := context.WithCancel(b.Context())
			ran := make(chan error)
			go func() { ran <- l.Run(ctx) }()
			k := &kept{observe: func(o *authz.Observation) {
				b.ReportAllocs()
				for b.Loop() {
					l.Observe(ctx, o)
				}
			}}
			ask(b, server(b, k), 1, c.headers...)
			b.ReportMetric(count(b, l.dropped)/float64(b.N), "dropped/op")
			cancel()
			if err := <-ran; err != nil {
				b.Fatal(err)
			}
		})
	}
}

func TestMetricsOfTheLog(t *testing.T) {
	l := open(t, Options{Path: filepath.Join(t.TempDir(), "unused"), MaxSize: defaultMaxSize, MaxFiles: 1})
	r := prometheus.NewRegistry()
	r.MustRegister(l.Collectors()...)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

// TestWhatCantBeOpened is told at the start.
func TestWhatCantBeOpened(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "missing", "x"), dir, pipe, "/dev/null"} {
		_, err := New(Options{Path: path, MaxSize: defaultMaxSize, MaxFiles: 1}, slog.New(slog.DiscardHandler))
		var at *os.PathError
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "regular file") && !errors.As(err, &at) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
