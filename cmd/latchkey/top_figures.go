package main

import (
	"cmp"
	"slices"
	"time"

	"github.com/latchkey/latchkey/internal/scrape"
	"github.com/latchkey/latchkey/policy"
)

// topView is what all processes do, at a moment, as it is printed as JSON. What isn't known is null.
type topView struct {
	Time      time.Time    `json:"time"`
	Interval  float64      `json:"interval_seconds"`
	Processes []topFigures `json:"processes"`
}

// topFigures are those of one process.
type topFigures struct {
	Address  string   `json:"address"`
	Problem  *string  `json:"problem"` // why it can't be read; the rest is absent then
	Version  string   `json:"version"`
	Ready    bool     `json:"ready"`
	Degraded bool     `json:"degraded"` // it takes no writes
	Revision uint64   `json:"revision"`
	Keys     uint64   `json:"keys"`
	Checks   *float64 `json:"checks_per_second"`
	Denied   *float64 `json:"denied_per_second"`
	P50      *float64 `json:"p50_seconds"`
	P99      *float64 `json:"p99_seconds"`
	Failures uint64   `json:"check_failures_total"`
	Refused  uint64   `json:"refused_total"`              // by limits
	Dropped  *uint64  `json:"decision_log_dropped_total"` // of the decision log

	Replica   *topReplica   `json:"replica"` // of a sidecar
	Hub       *topHub       `json:"hub"`     // of a hub
	Decisions []topDecision `json:"decisions"`
}

// topReplica is how current a sidecar is.
type topReplica struct {
	Connected bool     `json:"connected"`
	Stale     bool     `json:"stale"`
	Age       *float64 `json:"age_seconds"`   // null: it was never proven to be up to date
	Lease     *float64 `json:"lease_seconds"` // null: without end
}

// topHub is how many replicas a hub has, by state.
type topHub struct {
	Current uint64 `json:"current"`
	Lagging uint64 `json:"lagging"`
	Away    uint64 `json:"away"`
}

// topDecision is how often it was decided so.
type topDecision struct {
	Reason   string   `json:"reason"`
	Decision string   `json:"decision"`
	Policy   string   `json:"policy"`
	KeyType  string   `json:"key_type"`
	Total    uint64   `json:"total"`
	Rate     *float64 `json:"per_second"`
}

// look works out what the readings say.
func (t *top) look(now time.Time) *topView {
	v := &topView{Time: now.UTC().Truncate(time.Millisecond), Interval: t.interval.Seconds(), Processes: make([]topFigures, 0, len(t.processes))}
	for _, p := range t.processes {
		v.Processes = append(v.Processes, p.figures())
	}
	return v
}

// troubled reports whether a process couldn't be read.
func (v *topView) troubled() bool {
	return slices.ContainsFunc(v.Processes, func(f topFigures) bool { return f.Problem != nil })
}

func (p *topProcess) figures() topFigures {
	f := topFigures{Address: p.address, Decisions: []topDecision{}}
	if p.problem != nil {
		problem := p.problem.Error()
		f.Problem = &problem
		return f
	}
	r := p.now
	number := func(name string) float64 { n, _ := r.Value(name); return n }
	count := func(name string) uint64 { return uint64(max(0, number(name))) }
	f.Version, f.Ready, f.Degraded = r.Version, number("latchkey_ready") == 1, number("latchkey_store_degraded") == 1
	f.Revision, f.Keys = count("latchkey_store_revision"), count("latchkey_store_keys")
	f.Failures, f.Refused = count("latchkey_check_failures_total"), count("latchkey_refused_total")
	if _, ok := r.Value("latchkey_decision_log_dropped_total"); ok {
		f.Dropped = ptr(count("latchkey_decision_log_dropped_total"))
	}
	if connected, ok := r.Value("latchkey_replica_connected"); ok {
		f.Replica = &topReplica{
			Connected: connected == 1, Stale: number("latchkey_replica_stale") == 1,
			Age: unlessNegative(number("latchkey_replica_age_seconds")), Lease: unlessNegative(number("latchkey_replica_lease_seconds")),
		}
	}
	if r.Replicas != nil {
		f.Hub = &topHub{uint64(r.Replicas["current"]), uint64(r.Replicas["lagging"]), uint64(r.Replicas["away"])}
	}
	p.rates(&f)
	return f
}

// rates fills in what happened between the last two readings.
func (p *topProcess) rates(f *topFigures) {
	var since map[scrape.Check]float64
	seconds := 0.0
	if p.before != nil {
		since, seconds = p.now.Since(p.before), p.now.At.Sub(p.before.At).Seconds()
	}
	all, denied := 0.0, 0.0
	for c, total := range p.now.Checks {
		d := topDecision{Reason: c.Reason, Decision: "deny", Policy: c.Policy, KeyType: c.KeyType, Total: uint64(total)}
		if allows(c.Reason) {
			d.Decision = "allow"
		}
		if seconds > 0 {
			rate := since[c] / seconds
			d.Rate = &rate
			all += rate
			if d.Decision == "deny" {
				denied += rate
			}
		}
		f.Decisions = append(f.Decisions, d)
	}
	sortDecisions(f.Decisions)
	if seconds <= 0 {
		return
	}
	f.Checks, f.Denied = &all, &denied
	took := p.now.Duration.Since(p.before.Duration)
	if q, ok := took.Quantile(0.5); ok {
		f.P50 = &q
	}
	if q, ok := took.Quantile(0.99); ok {
		f.P99 = &q
	}
}

// allows reports whether a reason does. One that this version doesn't know
// doesn't.
func allows(reason string) bool {
	return slices.ContainsFunc(policy.Reasons(), func(r policy.Reason) bool { return r.String() == reason && r.Allows() })
}

// decisions are those of all processes together, the most frequent first.
func (v *topView) decisions() []topDecision {
	type kind struct{ reason, policy, keyType string }
	at, all := map[kind]int{}, []topDecision{}
	for _, p := range v.Processes {
		for _, d := range p.Decisions {
			i, ok := at[kind{d.Reason, d.Policy, d.KeyType}]
			if !ok {
				at[kind{d.Reason, d.Policy, d.KeyType}] = len(all)
				all = append(all, d)
				continue
			}
			all[i].Total += d.Total
			if all[i].Rate != nil && d.Rate != nil {
				d.Rate = ptr(*all[i].Rate + *d.Rate)
			}
			if d.Rate != nil {
				all[i].Rate = d.Rate
			}
		}
	}
	sortDecisions(all)
	return all
}

func sortDecisions(all []topDecision) {
	rate := func(d topDecision) float64 {
		if d.Rate == nil {
			return 0
		}
		return *d.Rate
	}
	slices.SortFunc(all, func(a, b topDecision) int {
		return cmp.Or(cmp.Compare(rate(b), rate(a)), cmp.Compare(b.Total, a.Total), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.KeyType, b.KeyType))
	})
}

func unlessNegative(n float64) *float64 {
	if n < 0 {
		return nil
	}
	return &n
}

func ptr[T any](v T) *T { return &v }
