package serve

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

// What a peer of the check listener can make the process hold is bounded here.
// docs/performance.md adds it up, and says what Envoy sees of each limit.
const (
	// maxConnections are open at the same time. Envoy opens one for each worker
	// thread, of which it has as many as the machine has processors, and further
	// ones when maxStreams calls are under way in one. What calls take that nobody
	// reads the answers of is this times maxStreams.
	maxConnections = 128
	// maxStreams are open in a connection at the same time. Of more, the server
	// says REFUSED_STREAM, and Envoy takes another connection beforehand. With
	// more than 100 fewer connections would be enough, and it is no faster.
	maxStreams = 100
	// maxMessage is how long the message of a call may be. Envoy lets requests
	// have 60 KiB of headers, of which the path may stand in a check twice.
	maxMessage = 128 << 10
	// maxHeaders is how long the headers of a call may be: of the call, which has
	// a dozen short ones, and not of the client's request, which are its message.
	maxHeaders = 8 << 10
	// window is how much of a message may come before it is asked for, the least
	// that gRPC knows. Unless it is set, gRPC lets windows grow to 16 MiB.
	window = 64 << 10
	// connectionWindow is the same for all calls of a connection. It costs no
	// memory: gRPC opens it again whatever has become of the messages.
	connectionWindow = 1 << 20

	// maxWaiting calls may wait for their message, or for the rest of it, beside
	// the first fairShare of each connection: so that who sends half a message and
	// no more can't keep others from sending theirs. Envoy has no more checks
	// under way unless its circuit breakers are set otherwise.
	maxWaiting = 1024
	fairShare  = 2
	// maxQueued calls may have come and wait for their turn, beside the first
	// fairShare of each connection. Of connections that have some of more nothing
	// is read for turnTime, or until they had their turn, which they are asked
	// about every turnPatience.
	maxQueued    = 1024
	turnTime     = time.Second
	turnPatience = 200 * time.Microsecond
	// messageTime is how long a message may take at least. Then the connection
	// is closed, since one call can't be ended alone. Envoy's own limit for a
	// whole check is a fraction of a second.
	messageTime = 10 * time.Second
	// fragmentSize is how short a piece of a message is that isn't the last one
	// before it counts as a fragment. gRPC keeps each with 64 bytes or more around
	// it, so that a message sent byte by byte takes the memory of many.
	fragmentSize = 1 << 10
	// maxFragments may come at once; one more may for each fragmentCost bytes of
	// messages, since even who means no harm cuts where a window ends.
	maxFragments = 256
	fragmentCost = 4 << 10
	// maxWatches are the calls that go on until the peer ends them: of health.
	maxWatches = 64

	// connectTime is how long a connection may take until it is one of HTTP/2.
	connectTime = 10 * time.Second
	// writeTime is how long a peer may read nothing of what is sent to it.
	writeTime = 10 * time.Second
	// writePatience is how long he may read nothing until nothing is read of his.
	writePatience = 5 * time.Millisecond
	// idleTime is how long a connection without calls is kept. Peers that check
	// the health keep theirs.
	idleTime = 15 * time.Minute
	// A peer that says nothing for pingAfter is asked for a sign of life, and has
	// pingTime for it: hosts that vanished leave connections behind.
	pingAfter = time.Minute
	pingTime  = 20 * time.Second
	// pingLeast is how far the pings of a peer are apart at least: Envoy sends
	// them as often as it is told to, which may be more often than gRPC's own
	// five minutes, and without calls.
	pingLeast = 5 * time.Second
)

// limits are the options that bound what gRPC holds for peers.
func limits() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.StaticStreamWindowSize(window),
		grpc.StaticConnWindowSize(connectionWindow),
		grpc.ConnectionTimeout(connectTime),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: idleTime, Time: pingAfter, Timeout: pingTime}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingLeast, PermitWithoutStream: true}),
	}
}
