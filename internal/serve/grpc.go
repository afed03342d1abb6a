package serve

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
)

// drainTime is how long requests in flight may take once the process stops. Tests change it.
var drainTime = 3 * time.Second

// GRPC is a gRPC server with limits, whose streams end when it drains.
type GRPC struct {
	*grpc.Server
	connections *connections
	refusals    *refusals
	watches     atomic.Int64
	draining    chan struct{}
	once        sync.Once
}

// NewGRPC returns the server of checks, tuned for many short calls, that bounds
// what its peers can make it hold. Client headers stand in the message of a
// check and not in the headers of the call.
func NewGRPC(options ...grpc.ServerOption) *GRPC {
	return newGRPC(append(tuning(), options...)...)
}

// newGRPC returns a server with limits alone.
func newGRPC(options ...grpc.ServerOption) *GRPC {
	g := &GRPC{refusals: newRefusals(), draining: make(chan struct{})}
	g.connections = &connections{refusals: g.refusals}
	options = append(append(limits(), grpc.ChainStreamInterceptor(g.endOnDrain)), options...)
	g.Server = grpc.NewServer(options...)
	return g
}

// TellLimits makes the log tell when peers reach limits, every so often.
func (g *GRPC) TellLimits(log *slog.Logger) { g.refusals.log.Store(log) }

// Collectors returns the metrics of the limits.
func (g *GRPC) Collectors() []prometheus.Collector {
	return []prometheus.Collector{g.refusals.counter}
}

// Run serves on the listener until the context ends, and then until no call is
// left or the time to drain is over.
func (g *GRPC) Run(ctx context.Context, l net.Listener) error {
	ended := make(chan struct{})
	swept := make(chan struct{})
	go func() {
		defer close(swept)
		g.sweep(ended)
	}()
	defer func() { close(ended); <-swept }()

	served := make(chan error, 1)
	var arriving arrivals
	go func() { served <- g.Serve(arriving.listener(boundedListener{l, g.connections})) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	defer time.AfterFunc(arrivalTime, arriving.cut).Stop()
	defer time.AfterFunc(drainTime, g.Stop).Stop()
	g.drain()
	g.GracefulStop()
	if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

// sweep closes connections whose messages don't come to their end, until the
// channel is closed.
func (g *GRPC) sweep(ended <-chan struct{}) {
	tick := time.NewTicker(messageTime)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
			g.connections.sweep()
		}
	}
}

// drain ends all streams: a watch of the health would outlive any patience.
func (g *GRPC) drain() { g.once.Do(func() { close(g.draining) }) }

// endOnDrain ends streams when the server drains, and has no more of them than
// it may: the calls that go on are watches of the health. Unary calls don't come
// by here.
func (g *GRPC) endOnDrain(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	connectionOf(stream.Context()).begin()
	defer g.watches.Add(-1)
	if g.watches.Add(1) > maxWatches {
		g.refusals.add(watchesLimit, "a call that watches was refused", maxWatches)
		return errWatches
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-g.draining:
			cancel()
		case <-done:
		}
	}()
	return handler(srv, drainedStream{stream, ctx})
}

type drainedStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s drainedStream) Context() context.Context { return s.ctx }
