package serve

import (
	"github.com/prometheus/client_golang/prometheus"
)

// StoreFigures are what is counted of a store at one revision: *storage.View.
type StoreFigures interface {
	// Counts returns how many keys aren't revoked, and how many tenants and principals there are.
	Counts() (keys, tenants, principals int)
	// Memory returns how many bytes they take.
	Memory() int
}

// StoreMetrics returns the metrics of a store: of its newest revision, as now returns it with its number, and of its
// health.
func StoreMetrics[F StoreFigures](now func() (figures F, revision uint64), health *StoreHealth) []prometheus.Collector {
	count := func(of func(F) int) func() float64 {
		return func() float64 {
			figures, _ := now()
			return float64(of(figures))
		}
	}
	return []prometheus.Collector{
		Gauge("latchkey_store_revision", "Revision of the store.", func() float64 {
			_, revision := now()
			return float64(revision)
		}),
		Gauge("latchkey_store_degraded", "1 while the store takes no writes, else 0.", Truth(func() bool { return health.Problem() != nil })),
		Gauge("latchkey_store_keys", "Keys that are not revoked.", count(func(f F) int { k, _, _ := f.Counts(); return k })),
		Gauge("latchkey_store_memory_bytes", "Memory that keys, tenants and principals take.", count(F.Memory)),
		Gauge("latchkey_store_tenants", "Tenants in the directory.", count(func(f F) int { _, t, _ := f.Counts(); return t })),
		Gauge("latchkey_store_principals", "Principals in the directory.", count(func(f F) int { _, _, p := f.Counts(); return p })),
	}
}

// Gauge returns a gauge without labels, whose value is asked for when it is looked at.
func Gauge(name, help string, value func() float64) prometheus.GaugeFunc {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
}

// Truth is the value of a gauge that is 1 while something is so, and else 0.
func Truth(is func() bool) func() float64 {
	return func() float64 {
		if is() {
			return 1
		}
		return 0
	}
}
