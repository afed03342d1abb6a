package serve

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

// drainTime is how long requests in flight may take once the process stops.
const drainTime = 3 * time.Second

// GRPC is a gRPC server with limits, whose streams end when it drains.
type GRPC struct {
	*grpc.Server
	draining chan struct{}
	once     sync.Once
}

// NewGRPC returns a server that bounds what one peer can make it hold. Client
// headers stand in the message of a check and not in the headers of the call,
// so the calls themselves have few.
func NewGRPC(options ...grpc.ServerOption) *GRPC {
	g := &GRPC{draining: make(chan struct{})}
	g.Server = grpc.NewServer(append([]grpc.ServerOption{
		grpc.MaxConcurrentStreams(1000),
		grpc.MaxHeaderListSize(16 << 10),
		grpc.MaxRecvMsgSize(1 << 20),
		grpc.ConnectionTimeout(10 * time.Second),
		// Envoy pings idle connections as often as it is told to: less than
		// gRPC's own five minutes, and without streams.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.ChainStreamInterceptor(g.endOnDrain),
	}, options...)...)
	return g
}

// Run serves on the listener until the context ends, and then until no call is
// left or the time to drain is over.
func (g *GRPC) Run(ctx context.Context, l net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	timer := time.AfterFunc(drainTime, g.Stop)
	defer timer.Stop()
	g.drain()
	g.GracefulStop()
	if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

// drain ends all streams: a watch of the health would outlive any patience.
func (g *GRPC) drain() { g.once.Do(func() { close(g.draining) }) }

func (g *GRPC) endOnDrain(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
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
