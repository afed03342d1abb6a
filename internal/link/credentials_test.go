package link

import (
	"context"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/latchkey/latchkey/internal/link/linktest"
)

// Over gRPC the handlers know who calls, and a refusal is told at both ends.
func TestGRPC(t *testing.T) {
	ca := linktest.NewCA(t, "ca")
	source := func(l linktest.Leaf) (*Source, *logged) {
		return open(t, linktest.Write(t, t.TempDir(), ca.Issue(t, l), ca))
	}
	hub, log := source(hubLeaf)
	callers := make(chan string, 1)
	s := grpc.NewServer(grpc.Creds(hub.ServerCredentials(list(t, "spiffe://td/sidecar/*"))),
		grpc.UnaryInterceptor(func(ctx context.Context, q any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			who, _ := Peer(ctx)
			callers <- who.String()
			return next(ctx, q)
		}))
	grpc_health_v1.RegisterHealthServer(s, health.NewServer())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })

	check := func(l net.Addr, s *Source, hub ...string) error {
		conn, err := grpc.NewClient(l.String(), grpc.WithTransportCredentials(s.ClientCredentials(l.String(), list(t, hub...))))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, err = grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
		return err
	}
	sidecar, _ := source(sidecarLeaf)
	for _, hub := range [][]string{nil, {"spiffe://td/hub"}} {
		if err := check(l.Addr(), sidecar, hub...); err != nil {
			t.Fatal(err)
		}
		if who := <-callers; who != "spiffe://td/sidecar/a" {
			t.Errorf("the handler takes the caller for %q", who)
		}
	}
	if err := check(l.Addr(), sidecar, "spiffe://td/other"); err == nil || !strings.Contains(err.Error(), ErrNotBelieved.Error()) {
		t.Errorf("%v, want it to say why the hub isn't believed", err)
	}
	stranger, _ := source(linktest.Leaf{URIs: []string{"spiffe://td/stranger"}})
	before := log.count("a handshake of a link failed")
	if err := check(l.Addr(), stranger); err == nil {
		t.Error("a stranger was answered")
	}
	if len(callers) > 0 {
		t.Errorf("%q got as far as a handler", <-callers)
	}
	if before == 0 { // else it is told later, with the number of times
		eventually(t, "the refusal is told of", func() bool { return log.count("a handshake of a link failed") > 0 })
	}
}
