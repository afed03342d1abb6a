package scrape

import (
	"context"
	"maps"
	"math"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/latchkey/latchkey/internal/serve"
)

// listen serves a handler on a socket.
func listen(t *testing.T, h http.Handler) serve.Address {
	t.Helper()
	at := serve.UnixAddress(filepath.Join(t.TempDir(), "http.sock"))
	l, err := net.Listen("unix", strings.TrimPrefix(at.String(), "unix:"))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	served := make(chan error)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close(); <-served })
	return at
}

func TestRead(t *testing.T) {
	r := prometheus.NewRegistry()
	checks := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "latchkey_checks_total", Help: "h"}, []string{"policy", "key_type", "reason"})
	duration := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "latchkey_check_duration_seconds", Help: "h", NativeHistogramBucketFactor: 1.1})
	replicas := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "latchkey_hub_replicas", Help: "h"}, []string{"state"})
	r.MustRegister(checks, duration, replicas, serve.ThisBuild("v1").Info(), serve.Gauge("latchkey_ready", "h", func() float64 { return 1 }))
	allowed, refused := Check{"kodey", "secret", "ALLOWED"}, Check{"", "", "HOST_UNKNOWN"}
	count := func(c Check, n int) {
		for range n {
			checks.WithLabelValues(c.Policy, c.KeyType, c.Reason).Inc()
			duration.Observe(20e-6)
		}
	}
	count(allowed, 5)
	replicas.WithLabelValues("lagging").Set(2)
	p := New(listen(t, promhttp.HandlerFor(r, promhttp.HandlerOpts{})))
	first, err := p.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	count(allowed, 3)
	count(refused, 2)
	second, err := p.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if ready, ok := second.Value("latchkey_ready"); !ok || ready != 1 || second.Version != "v1" || second.Replicas["lagging"] != 2 {
		t.Errorf("read is %+v", second)
	}
	if _, ok := second.Value("latchkey_replica_age_seconds"); ok {
		t.Error("there is a metric that isn't")
	}
	if got, want := second.Since(first), map[Check]float64{allowed: 3, refused: 2}; !maps.Equal(got, want) {
		t.Errorf("since then came %v, want %v", got, want)
	}
	if q, ok := second.Duration.Since(first.Duration).Quantile(0.5); !ok || q < 18e-6 || q > 22e-6 || second.Duration.classic != nil {
		t.Errorf("the median is %v", q)
	}
	// Anew.
	if got := first.Since(second); got[allowed] != 5 {
		t.Errorf("a process that was started anew answered %v", got)
	}
}

// TestReadFails tells why, and what to do.
func TestReadFails(t *testing.T) {
	page := func(status int, text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(text))
		})
	}
	hangs := make(chan struct{})
	defer close(hangs)
	for says, at := range map[string]serve.Address{
		"nobody answers: name the --http address": serve.UnixAddress(filepath.Join(t.TempDir(), "nobody.sock")),
		"it answers 404 Not Found":                listen(t, http.NotFoundHandler()),
		"what answers is no Latchkey":             listen(t, page(http.StatusOK, "go_goroutines 1\n")),
		"its metrics can't be read":               listen(t, page(http.StatusOK, "<html>\n")),
		"no answer in time":                       listen(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hangs })),
	} {
		patience := time.Minute
		if says == "no answer in time" {
			patience = 300 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if _, err := New(at).Read(ctx); err == nil || !strings.HasPrefix(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
		cancel()
	}
}

// What is no number is as good as not there.
func TestNumbersThatAreNone(t *testing.T) {
	r := prometheus.NewRegistry()
	keys := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "latchkey_store_keys", Help: "h"}, []string{"of"})
	r.MustRegister(keys, serve.ThisBuild("v1").Info())
	keys.WithLabelValues("a").Set(math.NaN())
	keys.WithLabelValues("b").Set(math.Inf(1))
	keys.WithLabelValues("c").Set(3)
	reading, err := New(listen(t, promhttp.HandlerFor(r, promhttp.HandlerOpts{}))).Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := reading.Value("latchkey_store_keys"); !ok || n != 3 {
		t.Errorf("%v, %v", n, ok)
	}
}
