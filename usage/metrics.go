package usage

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/storage/tally"
)

// Why checks weren't counted.
const (
	dropTable   = "table"   // more different ones at once than there is room for in memory
	dropDisk    = "disk"    // the file can't be written, and memory is full
	dropOutbox  = "outbox"  // cut off from every hub for so long that the file is full
	dropRefused = "refused" // the hub refused the batch
	dropUnknown = "unknown" // a replica reported a secret that no key here has
	dropOld     = "old"     // a replica reported hours that are too old
)

// metrics are what a Keeper counts.
type metrics struct {
	k       *Keeper
	dropped *prometheus.CounterVec
	drops   map[string]prometheus.Counter
	failed  prometheus.Counter
	unsent  prometheus.Counter
	reports *prometheus.CounterVec

	flush, sent atomic.Int64 // seconds since the epoch; 0 for never
}

func newMetrics(k *Keeper) *metrics {
	m := &metrics{
		k: k, drops: map[string]prometheus.Counter{},
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "latchkey_usage_dropped_total",
			Help: "Checks of known keys that aren't counted in their usage, by why: table, disk, outbox or refused here; unknown or old in reports of replicas.",
		}, []string{"why"}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "latchkey_usage_flush_failures_total", Help: "Times that usage couldn't be written down. It is kept in memory, as far as there is room, and tried again.",
		}),
		unsent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "latchkey_usage_report_failures_total", Help: "Times that usage couldn't be reported to a hub. It waits in the file, and is tried again.",
		}),
		reports: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "latchkey_usage_reports_total", Help: "Reports of replicas, by result: taken, repeated (counted before) or failed.",
		}, []string{"result"}),
	}
	for _, why := range []string{dropTable, dropDisk, dropOutbox, dropRefused, dropUnknown, dropOld} {
		m.drops[why] = m.dropped.WithLabelValues(why)
	}
	for _, result := range []string{"taken", "repeated", "failed"} {
		m.reports.WithLabelValues(result)
	}
	return m
}

func (m *metrics) drop(why string, n uint64) { m.drops[why].Add(float64(n)) }

func (m *metrics) flushed(at time.Time)  { m.flush.Store(at.Unix()) }
func (m *metrics) reported(at time.Time) { m.sent.Store(at.Unix()) }

func (m *metrics) report(r tally.Receipt, err error) {
	switch {
	case ended(err):
		return // it may come to an end yet
	case err != nil:
		m.reports.WithLabelValues("failed").Inc()
		return
	case r.Repeated:
		m.reports.WithLabelValues("repeated").Inc()
		return
	}
	m.reports.WithLabelValues("taken").Inc()
	m.drop(dropUnknown, r.Unknown)
	m.drop(dropOld, r.Old)
}

// Collectors returns the metrics, for a registry of the caller's.
func (k *Keeper) Collectors() []prometheus.Collector {
	m := k.metrics
	of := func(figure func(*tally.File) float64) func() float64 {
		return func() float64 {
			if f := k.file.Load(); f != nil {
				return figure(f)
			}
			return 0
		}
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	all := []prometheus.Collector{
		m.dropped, m.failed,
		gauge("latchkey_usage_last_flush_timestamp_seconds", "When usage was last written down; 0 for never.", func() float64 { return float64(m.flush.Load()) }),
		gauge("latchkey_usage_file_bytes", "Size of the file of usage.", of(func(f *tally.File) float64 { return float64(f.Size()) })),
	}
	if k.o.Send == nil {
		return append(all, m.reports)
	}
	return append(all, m.unsent,
		gauge("latchkey_usage_pending_batches", "Batches of usage that wait for a hub.", of(func(f *tally.File) float64 { return float64(f.Pending()) })),
		gauge("latchkey_usage_last_report_timestamp_seconds", "When a hub last took a batch of usage; 0 for never.", func() float64 { return float64(m.sent.Load()) }),
	)
}
