package serve

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc/health/grpc_health_v1"
)

// Who connects and says nothing, or half of what a peer says first, doesn't keep a server from ending; nor is a peer who
// has said it cut off for that.
func TestSilentConnectionsDontKeepAServerFromEnding(t *testing.T) {
	for name, serveOn := range map[string]func(net.Listener) (func(context.Context) error, *Health){
		"checks": func(l net.Listener) (func(context.Context) error, *Health) {
			h, g := NewHealth(), NewGRPC()
			h.Register(g)
			return func(ctx context.Context) error { return g.Run(ctx, l) }, h
		},
		"streams": func(l net.Listener) (func(context.Context) error, *Health) {
			h, s := NewHealth(), NewStreams()
			h.Register(s)
			return func(ctx context.Context) error { return s.Run(ctx, l) }, h
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := local(t)
			run, _ := serveOn(l)
			stop := start(t, run)
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
			began := time.Now()
			stop()
			if took := time.Since(began); took >= drainTime {
				t.Errorf("it took %s", took)
			}
		})
	}
}
