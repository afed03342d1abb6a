package replica

import (
	"github.com/prometheus/client_golang/prometheus"
)

// hubMetrics are what a hub counts.
type hubMetrics struct {
	sessions  *prometheus.CounterVec
	snapshots prometheus.Counter
	bytes     prometheus.Counter
	replicas  *prometheus.Desc
	damaged   prometheus.GaugeFunc
	hub       *Hub
}

func newHubMetrics(h *Hub) *hubMetrics {
	m := &hubMetrics{
		hub: h,
		sessions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "latchkey_hub_sessions_total", Help: "Sessions of replicas that began, by how they went on: entries, snapshot, behind or other (history).",
		}, []string{"course"}),
		snapshots: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "latchkey_hub_snapshots_sent_total", Help: "Snapshots that were sent to replicas.",
		}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "latchkey_hub_entries_sent_bytes_total", Help: "Bytes of entries that were sent to replicas.",
		}),
		replicas: prometheus.NewDesc("latchkey_hub_replicas", "Replicas by state: current, lagging, or away while their lease runs.", []string{"state"}, nil),
		damaged: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "latchkey_hub_roster_damaged", Help: "1 while receipts are uncertain because the roster of replicas was damaged, else 0.",
		}, func() float64 {
			if h.forgot != nil {
				return 1
			}
			return 0
		}),
	}
	for _, name := range courseNames {
		m.sessions.WithLabelValues(name)
	}
	return m
}

var courseNames = map[Course]string{Entries: "entries", Snapshot: "snapshot", Behind: "behind", Other: "other"}

func (m *hubMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.sessions, m.snapshots, m.bytes, m.damaged, m}
}

func (m *hubMetrics) session(c Course) { m.sessions.WithLabelValues(courseNames[c]).Inc() }

func (m *hubMetrics) sent(f frame) {
	n := 0
	for _, b := range f {
		n += b.Len()
	}
	m.bytes.Add(float64(n))
}

// Describe implements prometheus.Collector.
func (m *hubMetrics) Describe(to chan<- *prometheus.Desc) { to <- m.replicas }

// Collect implements prometheus.Collector.
func (m *hubMetrics) Collect(to chan<- prometheus.Metric) {
	var current, lagging, away float64
	at := m.hub.db.Position()
	for _, r := range m.hub.Replicas() {
		switch {
		case r.Connected && r.Position == at:
			current++
		case r.Connected:
			lagging++
		case r.Holds:
			away++
		}
	}
	for state, n := range map[string]float64{"current": current, "lagging": lagging, "away": away} {
		to <- prometheus.MustNewConstMetric(m.replicas, prometheus.GaugeValue, n, state)
	}
}

// followerMetrics are what a replica counts.
type followerMetrics struct {
	sessions  *prometheus.CounterVec
	snapshots prometheus.Counter
	entries   prometheus.Counter
	connected prometheus.GaugeFunc
	age       prometheus.GaugeFunc
}

func newFollowerMetrics(f *Follower) *followerMetrics {
	m := &followerMetrics{
		sessions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "latchkey_replica_sessions_total", Help: "Sessions with hubs that ended, by why: older, diverged, silent, disk, moved (to another hub) or lost. Attempts that no session came of aren't counted as lost.",
		}, []string{"why"}),
		snapshots: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "latchkey_replica_snapshots_total", Help: "Snapshots that took the store's place.",
		}),
		entries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "latchkey_replica_entries_total", Help: "Entries that were applied.",
		}),
		connected: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "latchkey_replica_connected", Help: "1 while a hub feeds this replica, else 0.",
		}, func() float64 {
			if f.Status().Hub != "" {
				return 1
			}
			return 0
		}),
		age: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "latchkey_replica_age_seconds", Help: "How long ago this replica was last proven to be up to date; -1 for never.",
		}, func() float64 {
			if s := f.Status(); s.Proven {
				return s.Age.Seconds()
			}
			return -1
		}),
	}
	for _, why := range reasons {
		m.sessions.WithLabelValues(why.name)
	}
	return m
}

// Collectors returns the replica's metrics.
func (f *Follower) Collectors() []prometheus.Collector {
	m := f.metrics
	return []prometheus.Collector{m.sessions, m.snapshots, m.entries, m.connected, m.age}
}
