package authz

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts checks. Labels come from the policies and the table of
// reasons, never from a client.
type metrics struct {
	checks   *prometheus.CounterVec
	duration prometheus.Histogram
	panics   prometheus.Counter
}

func newMetrics() *metrics {
	return &metrics{
		checks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "latchkey_checks_total",
			Help: "Checks answered, by policy (empty where no policy claims the host), key type (empty before a key is known) and reason.",
		}, []string{"policy", "key_type", "reason"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:                           "latchkey_check_duration_seconds",
			Help:                           "Time from a decoded CheckRequest to its answer.",
			Buckets:                        []float64{25e-6, 100e-6, 1e-3, 10e-3},
			NativeHistogramBucketFactor:    1.1,
			NativeHistogramMaxBucketNumber: 100,
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "latchkey_check_failures_total",
			Help: "Checks that ended in an internal error, which Envoy answers with its status_on_error. Always 0 unless Latchkey has a bug.",
		}),
	}
}

func (m *metrics) count(v *Verdict, took time.Duration) {
	var name, keyType string
	if v.Place.Policy != nil {
		name = v.Place.Policy.Name()
	}
	if v.Type != nil {
		keyType = v.Type.Name
	}
	m.checks.WithLabelValues(name, keyType, v.Reason.String()).Inc()
	m.duration.Observe(took.Seconds())
}

// Collectors returns the metrics of the server, for a registry of the caller's.
func (s *Server) Collectors() []prometheus.Collector {
	return []prometheus.Collector{s.metrics.checks, s.metrics.duration, s.metrics.panics}
}
