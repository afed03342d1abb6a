package serve

import (
	"context"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// What peers are told when one of their calls reaches a limit. Envoy answers its
// client by status_on_error then.
var (
	errWaiting = status.Errorf(codes.ResourceExhausted, "more than %d calls wait for their message: send messages whole", maxWaiting)
	errWatches = status.Errorf(codes.ResourceExhausted, "more than %d calls watch: %s", maxWatches, remedies[watchesLimit])
)

// RegisterService registers a service whose unary calls are bounded while they
// wait for their message. It is what generated Register functions call.
func (g *GRPC) RegisterService(d *grpc.ServiceDesc, impl any) {
	bounded := *d
	bounded.Methods = slices.Clone(d.Methods)
	for i := range bounded.Methods {
		bounded.Methods[i].Handler = g.connections.bound(bounded.Methods[i].Handler)
	}
	g.Server.RegisterService(&bounded, impl)
}

// bound returns a handler that counts a call as waiting until its message is
// there. It is called when the headers have come, and costs a check one
// allocation and four additions.
func (a *connections) bound(handle grpc.MethodHandler) grpc.MethodHandler {
	return func(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		c := connectionOf(ctx)
		c.begin()
		done, err := a.wait(c)
		if err != nil {
			return nil, err
		}
		return handle(srv, ctx, func(message any) error {
			err := decode(message)
			done.end()
			if status.Code(err) == codes.ResourceExhausted {
				// gRPC has told the peer already, with the limit.
				a.refusals.add(messageLimit, "a message was too long", maxMessage)
			}
			return err
		}, interceptor)
	}
}

// connectionOf returns the connection that a call came by, and nil for one that
// another listener accepted.
func connectionOf(ctx context.Context) *connection {
	if p, ok := peer.FromContext(ctx); ok {
		if a, ok := p.Addr.(peerAddress); ok {
			return a.connection
		}
	}
	return nil
}

// wait is a call whose message isn't there yet.
type wait struct {
	all        *connections
	connection *connection
	generation uint32
	beyond     bool // the fair share of its connection
}

func (a *connections) wait(c *connection) (wait, error) {
	w := wait{all: a, connection: c}
	if c == nil {
		return w, nil
	}
	w.generation = a.generation.Load() & 1
	w.beyond = c.waiting[w.generation].Add(1)+c.waiting[w.generation^1].Load() > fairShare
	if w.beyond && a.waiting.Add(1) > maxWaiting {
		w.end()
		a.refusals.add(waitingLimit, "a call was refused", maxWaiting)
		return wait{}, errWaiting
	}
	return w, nil
}

func (w *wait) end() {
	if w.connection == nil {
		return
	}
	w.connection.waiting[w.generation].Add(-1)
	if w.beyond {
		w.all.waiting.Add(-1)
	}
}
