package authz

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/policy"
)

// metrics counts checks. Labels come from the policies and the table of
// reasons, never from a client.
type metrics struct {
	checks   *prometheus.CounterVec
	duration prometheus.Histogram
	panics   prometheus.Counter

	// The counters of checks by their labels: finding one this way costs a
	// fraction of what CounterVec takes. There are as many as are exported.
	counters atomic.Pointer[map[labels]prometheus.Counter]
	adding   sync.Mutex
}

type labels struct {
	policy, keyType string
	reason          policy.Reason
}

func newMetrics() *metrics {
	m := &metrics{
		checks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "latchkey_checks_total",
			Help: "Checks answered, by policy (empty where no policy claims the host), key type (empty before a key is known) and reason.",
		}, []string{"policy", "key_type", "reason"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:                           "latchkey_check_duration_seconds",
			Help:                           "Time from the bytes of a CheckRequest to those of its answer.",
			Buckets:                        []float64{25e-6, 100e-6, 1e-3, 10e-3},
			NativeHistogramBucketFactor:    1.1,
			NativeHistogramMaxBucketNumber: 100,
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "latchkey_check_failures_total",
			Help: "Checks that ended in an internal error, which Envoy answers with its status_on_error. Always 0 unless Latchkey has a bug.",
		}),
	}
	m.counters.Store(&map[labels]prometheus.Counter{})
	return m
}

func (m *metrics) count(v *Verdict, took time.Duration) {
	l := labels{reason: v.Reason}
	if v.Place.Policy != nil {
		l.policy = v.Place.Policy.Name()
	}
	if v.Type != nil {
		l.keyType = v.Type.Name
	}
	m.counter(l).Inc()
	m.duration.Observe(took.Seconds())
}

func (m *metrics) counter(l labels) prometheus.Counter {
	if c, ok := (*m.counters.Load())[l]; ok {
		return c
	}
	m.adding.Lock()
	defer m.adding.Unlock()
	c := m.checks.WithLabelValues(l.policy, l.keyType, l.reason.String())
	more := maps.Clone(*m.counters.Load())
	more[l] = c
	m.counters.Store(&more)
	return c
}

// Collectors returns the metrics of the server, for a registry of the caller's.
func (s *Server) Collectors() []prometheus.Collector {
	return []prometheus.Collector{s.metrics.checks, s.metrics.duration, s.metrics.panics}
}
