package main

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/latchkey/latchkey/storage"
)

// registry returns all metrics of the process.
func (p *process) registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	r.MustRegister(p.checks.Collectors()...)
	r.MustRegister(p.grpc.Collectors()...)
	r.MustRegister(p.files.collectors()...)
	r.MustRegister(thisBuild().Info())
	if p.hub != nil {
		r.MustRegister(p.hub.Collectors()...)
	}
	if p.link != nil {
		r.MustRegister(p.link.Collectors()...)
	}
	count := func(of func(*storage.View) int) func() float64 {
		return func() float64 { return float64(of(p.db.Now())) }
	}
	r.MustRegister(
		gauge("latchkey_ready", "1 when requests can be decided, else 0.", nil, func() float64 {
			if len(p.missing()) > 0 {
				return 0
			}
			return 1
		}),
		gauge("latchkey_store_revision", "Revision of the store.", nil, count(func(v *storage.View) int { return int(v.Position().Revision) })),
		gauge("latchkey_store_degraded", "1 while the store takes no writes, else 0.", nil, func() float64 {
			if p.store.Problem() != nil {
				return 1
			}
			return 0
		}),
		gauge("latchkey_store_keys", "Keys that are not revoked.", nil, count(func(v *storage.View) int { k, _, _ := v.Counts(); return k })),
		gauge("latchkey_store_memory_bytes", "Memory that keys, tenants and principals take.", nil, count((*storage.View).Memory)),
		gauge("latchkey_store_tenants", "Tenants in the directory.", nil, count(func(v *storage.View) int { _, t, _ := v.Counts(); return t })),
		gauge("latchkey_store_principals", "Principals in the directory.", nil, count(func(v *storage.View) int { _, _, p := v.Counts(); return p })),
	)
	return r
}

func gauge(name, help string, labels prometheus.Labels, value func() float64) prometheus.GaugeFunc {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, value)
}
