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
type Health struct {
	server *health.Server

	mu       sync.Mutex
	services []string
	leaving  bool
}

// NewHealth returns the health of a process that isn't ready yet. The services
// are as ready as the process, each under its full gRPC name.
func NewHealth(services ...string) *Health {
	h := &Health{server: health.NewServer(), services: append([]string{"", Readiness}, services...)}
	for _, s := range append([]string{Startup, Storage}, h.services...) {
		h.server.SetServingStatus(s, grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	}
	h.server.SetServingStatus(Liveness, grpc_health_v1.HealthCheckResponse_SERVING)
	return h
}

// Register adds the health service to a server.
func (h *Health) Register(s grpc.ServiceRegistrar) {
	grpc_health_v1.RegisterHealthServer(s, h.server)
}

// SetReady tells whether requests can be decided. It has no effect after Leave.
func (h *Health) SetReady(ready bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.leaving {
		return
	}
	h.set(ready)
	if ready {
		h.server.SetServingStatus(Startup, grpc_health_v1.HealthCheckResponse_SERVING)
	}
}

// SetStorage tells whether writes are taken. Nothing else depends on it: a
// process that can't write goes on deciding requests.
func (h *Health) SetStorage(writable bool) { h.server.SetServingStatus(Storage, statusOf(writable)) }

func (h *Health) set(ready bool) {
	for _, s := range h.services {
		h.server.SetServingStatus(s, statusOf(ready))
	}
}

func statusOf(serving bool) grpc_health_v1.HealthCheckResponse_ServingStatus {
	if serving {
		return grpc_health_v1.HealthCheckResponse_SERVING
	}
	return grpc_health_v1.HealthCheckResponse_NOT_SERVING
}
