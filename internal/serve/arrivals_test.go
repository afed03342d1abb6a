package serve

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc/health/grpc_health_v1"
)

// Who connects and says nothing, or half of what a peer says first, doesn't keep a server from ending.
func TestSilentConnectionsDontKeepAServerFromEnding(t *testing.T) {
	for name, serveOn := range map[string]func(net.Listener) func(context.Context) error{
		"checks": func(l net.Listener) func(context.Context) error {
			g := NewGRPC()
			NewHealth().Register(g)
			return func(ctx context.Context) error { return g.Run(ctx, l) }
		},
		"streams": func(l net.Listener) func(context.Context) error {
			s := NewStreams()
			NewHealth().Register(s)
			return func(ctx context.Context) error { return s.Run(ctx, l) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			unforced(t)
			l := local(t)
			stop := start(t, serveOn(l))
			if _, err := healthClient(t, l).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: Liveness}); err != nil {
				t.Fatal(err)
			}
			for _, says := range []string{"", "PRI * HT", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\n"} {
				c, err := net.Dial(l.Addr().Network(), l.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = c.Close() }()
				if _, err := c.Write([]byte(says)); err != nil {
					t.Fatal(err)
				}
			}
			// They have been accepted, since one that came after them is answered.
			if _, err := healthClient(t, l).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: Liveness}); err != nil {
				t.Fatal(err)
			}
			stop()
		})
	}
}

// A peer who is answered has arrived, and isn't cut off.
func TestArrivalsAreOver(t *testing.T) {
	l, h, g := local(t), NewHealth(), NewGRPC()
	h.Register(g)
	var arriving arrivals
	done := make(chan struct{})
	go func() { defer close(done); _ = g.Serve(arriving.listener(boundedListener{l, g.connections})) }()
	defer func() { g.Stop(); <-done }()
	client := healthClient(t, l)
	ask := func() {
		t.Helper()
		if _, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: Liveness}); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	arriving.mu.Lock()
	if n := len(arriving.open); n != 0 {
		t.Errorf("%d connections are still on their way", n)
	}
	arriving.mu.Unlock()
	watch, err := client.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: Liveness})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	arriving.cut()
	ask()
	h.checks.SetServingStatus(Liveness, notServing)
	if r, err := watch.Recv(); err != nil || r.GetStatus() != notServing {
		t.Errorf("the stream was cut: %v, %v", r, err)
	}
}
