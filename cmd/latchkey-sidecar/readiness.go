package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/latchkey/latchkey/internal/serve"
	"github.com/latchkey/latchkey/storage"
)

// readinessCheck is how often it is looked whether keys may be answered at least.
const readinessCheck = 5 * time.Second

// answerable reports whether keys of any type may be answered now, why not, and, if they may, for how long without
// news of a hub; 0 is without limit.
func (p *process) answerable() (ok bool, why string, left time.Duration) {
	policies, proof := p.policies(), p.follower.Proof()
	switch {
	case p.db.Position().Revision == 0:
		return false, "nothing has come of a hub yet", 0
	case policies == nil || len(policies.Names()) == 0:
		return false, "no policy is in use: apply one at the hub", 0
	case proof.Limit > 0 && proof.Contact.IsZero():
		return false, "no hub has proven this replica to be up to date", 0
	}
	longest := policies.LongestStaleness(proof.Limit)
	if longest == 0 {
		return true, "", 0
	}
	if left = longest - time.Since(proof.Contact); left < 0 {
		return false, "cut off from every hub for longer than is allowed", 0
	}
	return true, "", max(left, time.Nanosecond)
}

// watchReadiness tells the health whether keys may be answered.
func (p *process) watchReadiness(ctx context.Context) error {
	ready := false
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		changed, proven := p.db.Changed(), p.follower.Changed()
		now, why, left := p.answerable()
		if now != ready {
			ready = now
			if ready {
				p.log.Info("requests can be decided", "revision", p.db.Position().Revision)
			} else {
				p.log.Error("requests can't be decided, and are answered with 503", "why", why)
			}
		}
		p.health.SetReady(ready)
		wait := readinessCheck
		if left > 0 {
			wait = min(wait, left+time.Millisecond)
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-proven:
		case <-timer.C:
		}
	}
}

// registry returns all metrics of the process.
func (p *process) registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	r.MustRegister(p.checks.Collectors()...)
	r.MustRegister(p.grpc.Collectors()...)
	r.MustRegister(p.observe.Collectors()...)
	r.MustRegister(p.follower.Collectors()...)
	r.MustRegister(p.usage.Collectors()...)
	r.MustRegister(p.listeners.Collectors()...)
	if p.file != nil {
		r.MustRegister(p.file.Collectors()...)
	}
	if p.link != nil {
		r.MustRegister(p.link.Collectors()...)
	}
	r.MustRegister(serve.ThisBuild(version).Info())
	r.MustRegister(
		serve.Gauge("latchkey_ready", "1 when requests can be decided, else 0.", serve.Truth(func() bool { ok, _, _ := p.answerable(); return ok })),
		serve.Gauge("latchkey_replica_stale", "1 while keys of no type are answered because no hub has been heard of for too long, else 0.", serve.Truth(func() bool {
			ok, _, _ := p.answerable()
			return !ok && p.db.Position().Revision > 0
		})),
		serve.Gauge("latchkey_replica_lease_seconds", "How long requests are decided without news of a hub from now on; -1 for without limit.", func() float64 {
			ok, _, left := p.answerable()
			switch {
			case !ok:
				return 0
			case left == 0:
				return -1
			}
			return left.Seconds()
		}),
	)
	r.MustRegister(serve.StoreMetrics(func() (*storage.View, uint64) { v := p.db.Now(); return v, v.Position().Revision }, p.store)...)
	return r
}
