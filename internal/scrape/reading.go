package scrape

import (
	"math"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// Reading is what a process said of itself at a moment.
type Reading struct {
	At       time.Time
	Version  string
	Checks   map[Check]float64 // how many were answered
	Duration Histogram         // of a check
	Replicas map[string]float64

	values   map[string]float64 // of metrics by name, labels added up
	latchkey bool
}

// Check is what checks are counted by.
type Check struct {
	Policy, KeyType, Reason string
}

// Value returns a metric, added up over its labels, and whether there is one.
func (r *Reading) Value(name string) (float64, bool) {
	v, ok := r.values[name]
	return v, ok
}

func (r *Reading) add(f *dto.MetricFamily) {
	for _, m := range f.GetMetric() {
		if v := value(m); math.IsNaN(v) || math.IsInf(v, 0) {
			continue // says nothing, and would spoil what it is added to
		}
		switch f.GetName() {
		case "latchkey_build_info":
			r.latchkey, r.Version = true, label(m, "version")
		case "latchkey_checks_total":
			if r.Checks == nil {
				r.Checks = map[Check]float64{}
			}
			r.Checks[Check{label(m, "policy"), label(m, "key_type"), label(m, "reason")}] += value(m)
		case "latchkey_check_duration_seconds":
			r.Duration = histogram(m.GetHistogram())
		case "latchkey_hub_replicas":
			if r.Replicas == nil {
				r.Replicas = map[string]float64{}
			}
			r.Replicas[label(m, "state")] += value(m)
		}
		r.values[f.GetName()] += value(m)
	}
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

func value(m *dto.Metric) float64 {
	switch {
	case m.GetCounter() != nil:
		return m.GetCounter().GetValue()
	case m.GetGauge() != nil:
		return m.GetGauge().GetValue()
	}
	return m.GetUntyped().GetValue()
}

// Since returns how many checks of each kind were answered since an earlier
// reading. A process that was started anew counts from 0.
func (r *Reading) Since(earlier *Reading) map[Check]float64 {
	since := map[Check]float64{}
	anew := r.Duration.count < earlier.Duration.count
	for c, n := range r.Checks {
		if before := earlier.Checks[c]; !anew && before <= n {
			n -= before
		}
		since[c] = n
	}
	return since
}
