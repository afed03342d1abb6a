package main

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/latchkey/latchkey/internal/serve"
	"github.com/latchkey/latchkey/storage"
)

// registry returns all metrics of the process.
func (p *process) registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	r.MustRegister(p.checks.Collectors()...)
	r.MustRegister(p.usage.Collectors()...)
	r.MustRegister(p.grpc.Collectors()...)
	r.MustRegister(p.observe.Collectors()...)
	r.MustRegister(p.files.collectors()...)
	r.MustRegister(p.listeners.Collectors()...)
	r.MustRegister(thisBuild().Info())
	if p.file != nil {
		r.MustRegister(p.file.Collectors()...)
	}
	if p.hub != nil {
		r.MustRegister(p.hub.Collectors()...)
	}
	if p.link != nil {
		r.MustRegister(p.link.Collectors()...)
	}
	r.MustRegister(serve.Gauge("latchkey_ready", "1 when requests can be decided, else 0.", serve.Truth(func() bool { return len(p.missing()) == 0 })))
	r.MustRegister(serve.StoreMetrics(func() (*storage.View, uint64) { v := p.db.Now(); return v, v.Position().Revision }, p.store)...)
	return r
}
