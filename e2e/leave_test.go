package e2e

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// Whoever doesn't come to an end doesn't keep a process from ending: a command that waits for replicas, a stream that
// watches the health, a request of which half has come, a connection that says nothing. Its sockets go with it.
func TestNobodyKeepsAProcessFromEnding(t *testing.T) {
	f := newKilledFleet(t, 1)
	f.load()
	v, err := f.startHub()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := v.answers(t.Context()); err != nil {
		t.Fatal(err)
	}
	// A replica that is gone and holds a lease.
	p, err := startPod(filepath.Join(f.dir, "pod"), "pod", "--hub", "unix:"+filepath.Join(f.dir, "hub.sock"), "--max-staleness", "1d")
	if err != nil {
		t.Fatal(err)
	}
	readiness(t, filepath.Join(f.dir, "pod"))(grpc_health_v1.HealthCheckResponse_SERVING)
	if err := p.kill(); err != nil {
		t.Fatal(err)
	}
	if err := f.revoke(t.Context(), v); err != nil {
		t.Fatal(err)
	}

	watch, err := grpc_health_v1.NewHealthClient(v.conn).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err == nil {
		_, err = watch.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_, err := v.about.AwaitReplicas(ctx, connect.NewRequest(&adminv1.AwaitReplicasRequest{Timeout: durationpb.New(time.Hour)}))
		waited <- err
	}()
	var sockets []string
	for _, name := range []string{"hub/authz.sock", "hub/admin.sock", "http.sock", "hub.sock"} {
		for _, says := range []string{"", "POST / HTTP/1.1\r\ncontent-length: 100\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"} {
			socket := filepath.Join(f.dir, name)
			conn, err := net.Dial("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if _, err := conn.Write([]byte(says)); err != nil {
				t.Fatal(err)
			}
			sockets = append(sockets, socket)
		}
	}
	select {
	case err := <-waited:
		t.Fatalf("nobody was waited for: %v", err)
	default:
	}
	began := time.Now()
	if err := v.stop(); err != nil {
		t.Fatalf("%v\n%s", err, v.log.tail(20))
	}
	took := time.Since(began)
	t.Logf("it ended after %s", took.Round(time.Millisecond))
	if took > leaveTime {
		t.Error("that is too long")
	}
	if err := <-waited; err == nil {
		t.Error("who waited was told that all replicas have it")
	}
	for _, socket := range sockets {
		if _, err := os.Lstat(socket); err == nil {
			t.Errorf("%s is left", socket)
		}
	}
}
