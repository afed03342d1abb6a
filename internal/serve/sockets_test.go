package serve

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// echoes serves a listener until the test ends: who connects gets a byte.
func echoes(t *testing.T, l net.Listener) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte{1})
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
}

func reached(a Address) bool {
	conn, err := a.Dial(context.Background())
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	_, err = conn.Read(make([]byte, 1))
	return err == nil
}

// Whatever becomes of a socket, the process says whether it is reached, and makes it again where that harms nobody.
func TestSocketsAreLookedAfter(t *testing.T) {
	a := socketAt(t, shortDir(t))
	aside := Address{"unix", a.target + ".aside"}
	var tells atomic.Int32
	ls := &Listeners{Log: discard(), Reachable: func(reachable bool) {
		if reachable {
			tells.Add(1)
		} else {
			tells.Add(-1)
		}
	}}
	l, err := ls.Open(CheckListener, a, 0o660)
	if err != nil {
		t.Fatal(err)
	}
	echoes(t, l)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	look := func(wantLost string) {
		t.Helper()
		ls.look(t.Context(), ls.All()[0])
		told := strings.Join(ls.Problems(), "\n")
		if (told == "") != (wantLost == "") || !strings.Contains(told, wantLost) {
			t.Errorf("it says %q, want %q", told, wantLost)
		}
		if lost := tells.Load() < 0; lost != (wantLost != "") {
			t.Errorf("the health was told that it is lost: %v", lost)
		}
		if wantLost == "" && !reached(a) {
			t.Error("nobody reaches it")
		}
	}
	look("")

	must(os.Remove(a.target))
	look("")
	info, err := os.Lstat(a.target)
	must(err)
	if info.Mode().Perm() != 0o660 {
		t.Errorf("its mode is %v", info.Mode())
	}

	// One that was moved is reached at both, and may come back.
	must(os.Rename(a.target, aside.target))
	look("")
	if !reached(aside) {
		t.Error("the socket that was moved isn't listened on")
	}
	must(os.Rename(aside.target, a.target))
	look("")

	// What a process left that is gone is taken; what another answers at isn't, nor a file.
	must(os.Remove(a.target))
	dead := mustListen(t, a, 0o600)
	must(dead.sockets.open[0].Close())
	look("")
	must(os.Remove(a.target))
	other := mustListen(t, a, 0o600)
	echoes(t, other)
	look("another process answers there")
	must(other.Close())
	look("")
	must(os.Remove(a.target))
	must(os.WriteFile(a.target, []byte("precious"), 0o600))
	look("what is there is no socket")
	if kept, err := os.ReadFile(a.target); err != nil || string(kept) != "precious" {
		t.Errorf("the file is %q, %v", kept, err)
	}
	must(os.Remove(a.target))
	look("")

	// However often that happens, there is a limit to what it costs.
	for range 2 * maxSockets {
		must(os.Remove(a.target))
		look("")
	}
	if n := len(l.sockets.open); n != maxSockets {
		t.Errorf("%d sockets are open", n)
	}
	must(l.Close())
	if _, err := os.Lstat(a.target); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
	// Nobody makes it again once it is closed.
	ls.look(t.Context(), ls.All()[0])
	if _, err := os.Lstat(a.target); !os.IsNotExist(err) {
		t.Errorf("the socket is there again: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
}

// Who has a connection goes on, and is told so; who asks elsewhere hears that no other can come.
func TestHealthOfALostListener(t *testing.T) {
	h := NewHealth("pkg.Service")
	h.SetReady(true)
	checks, outside := local(t), local(t)
	g := NewGRPC()
	h.Register(g)
	start(t, func(ctx context.Context) error { return g.Run(ctx, checks) })
	d := NewDebug(prometheus.NewRegistry(), h, discard())
	start(t, func(ctx context.Context) error { return d.Run(ctx, outside) })
	inside, other := healthClient(t, checks), healthClient(t, outside)
	expect := func(client grpc_health_v1.HealthClient, service string, want grpc_health_v1.HealthCheckResponse_ServingStatus) {
		t.Helper()
		if r, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: service}); err != nil || r.GetStatus() != want {
			t.Errorf("%q is %v, %v; want %v", service, r.GetStatus(), err, want)
		}
	}
	h.SetReachable(false)
	h.SetReady(true) // as on each change of the store
	for _, service := range []string{"", Readiness, "pkg.Service"} {
		expect(other, service, notServing)
		expect(inside, service, serving)
	}
	expect(other, Liveness, serving)
	h.SetReachable(true)
	expect(other, Readiness, serving)
	h.SetReady(false)
	h.SetReachable(false)
	h.SetReachable(true)
	expect(other, Readiness, notServing)
	expect(inside, Readiness, notServing)
}
