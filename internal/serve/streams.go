package serve

import (
	"context"
	"errors"
	"net"
	"time"

	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

// What a peer of a hub can make the process hold is bounded here. Peers are known by their certificates, or have
// opened a socket that is the process's own.
const (
	// maxFollowers connections are open at the same time; more wait until one is closed.
	maxFollowers = 20_000
	// followerStreams are open in a connection at the same time.
	followerStreams = 4
	// followerMessage is how long the message of a peer may be: the longest is a batch of usage.
	followerMessage = 40 << 10
	// stallTime is how long a peer may not take what is sent to him. Then the connection is closed.
	stallTime = 30 * time.Second
	// followerAge is how long a connection lasts, more or less: then the peer has to show his certificate again,
	// which may have been taken back. He has followerGrace to come by a new one.
	followerAge   = time.Hour
	followerGrace = 10 * time.Second
	// followerReads is how much is read of a connection at once: what replicas say is short. gRPC by itself would take
	// 32 kB for each connection, which would be most of what a peer costs.
	followerReads = 1 << 10
	// followerWrites is how much is written to a connection at once. The buffers are shared, by those who write.
	followerWrites = 4 << 10
)

// Streams is a gRPC server of few methods whose calls go on for days, for many peers.
type Streams struct{ *grpc.Server }

// NewStreams returns such a server with limits.
func NewStreams(options ...grpc.ServerOption) *Streams {
	return &Streams{grpc.NewServer(append([]grpc.ServerOption{
		grpc.MaxConcurrentStreams(followerStreams),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.MaxRecvMsgSize(followerMessage),
		grpc.StaticStreamWindowSize(window),
		grpc.StaticConnWindowSize(window),
		grpc.ReadBufferSize(followerReads),
		grpc.WriteBufferSize(followerWrites),
		grpc.ConnectionTimeout(connectTime),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingAfter, Timeout: pingTime, MaxConnectionAge: followerAge, MaxConnectionAgeGrace: followerGrace}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingLeast, PermitWithoutStream: true}),
	}, options...)...)}
}

// Run serves on the listener until the context ends. Its streams are cut then: peers come again.
func (s *Streams) Run(ctx context.Context, l net.Listener) error {
	served := make(chan error, 1)
	var arriving arrivals
	go func() { served <- s.Serve(arriving.listener(stallListener{netutil.LimitListener(l, maxFollowers)})) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	arriving.cut()
	s.Stop()
	if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

// stallListener accepts connections that are closed when the peer takes nothing for too long: he must not keep
// what was written for him.
type stallListener struct{ net.Listener }

func (l stallListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return stallConn{c}, nil
}

type stallConn struct{ net.Conn }

// Write writes within the time that a peer has to take it.
func (c stallConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(stallTime)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}
