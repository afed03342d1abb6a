package serve

import (
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// Names of services in gRPC health, beside "" for the process as a whole.
const (
	Liveness  = "liveness"  // the process is alive
	Readiness = "readiness" // it can decide requests
	Startup   = "startup"   // it has been ready once
	Storage   = "storage"   // it takes writes; what it knows it decides by all the same
)

// Health tells by the gRPC health protocol how the process is. All methods are
// safe for concurrent use.
//
// It is told in two places, which differ while nobody who connects now reaches
// the listener of checks: who asks there does reach it, and would refuse all
// requests for nothing.
type Health struct {
	checks  *health.Server // asked where checks are
	outside *health.Server // asked anywhere else

	mu       sync.Mutex
	services []string
	ready    bool
	lost     bool // nobody who connects now reaches the listener of checks
	leaving  bool
}

// NewHealth returns the health of a process that isn't ready yet. The services
// are as ready as the process, each under its full gRPC name.
func NewHealth(services ...string) *Health {
	h := &Health{checks: health.NewServer(), outside: health.NewServer(), services: append([]string{"", Readiness}, services...)}
	h.set(false, append([]string{Startup, Storage}, h.services...)...)
	h.set(true, Liveness)
	return h
}

// Register adds the health service to the server of checks.
func (h *Health) Register(s grpc.ServiceRegistrar) {
	grpc_health_v1.RegisterHealthServer(s, h.checks)
}

// registerOutside adds the health service to another server.
func (h *Health) registerOutside(s grpc.ServiceRegistrar) {
	grpc_health_v1.RegisterHealthServer(s, h.outside)
}

// SetReady tells whether requests can be decided. It has no effect after Leave.
func (h *Health) SetReady(ready bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ready = ready
	h.tell()
	if ready && !h.leaving {
		h.set(true, Startup)
	}
}

// SetReachable tells whether who connects now reaches the listener of checks.
// While nobody does, who asks elsewhere is told that the process isn't ready.
func (h *Health) SetReachable(reachable bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lost = !reachable
	h.tell()
}

// tell tells whether the process is ready, unless it has said that it leaves. mu
// must be held.
func (h *Health) tell() {
	if h.leaving {
		return
	}
	for _, s := range h.services {
		h.checks.SetServingStatus(s, statusOf(h.ready))
		h.outside.SetServingStatus(s, statusOf(h.ready && !h.lost))
	}
}

// SetStorage tells whether writes are taken. Nothing else depends on it: a
// process that can't write goes on deciding requests.
func (h *Health) SetStorage(writable bool) { h.set(writable, Storage) }

// set tells the same of services in both places.
func (h *Health) set(serving bool, services ...string) {
	for _, s := range services {
		h.checks.SetServingStatus(s, statusOf(serving))
		h.outside.SetServingStatus(s, statusOf(serving))
	}
}

func statusOf(serving bool) grpc_health_v1.HealthCheckResponse_ServingStatus {
	if serving {
		return grpc_health_v1.HealthCheckResponse_SERVING
	}
	return grpc_health_v1.HealthCheckResponse_NOT_SERVING
}
