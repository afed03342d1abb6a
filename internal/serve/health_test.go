package serve

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

const serving, notServing = grpc_health_v1.HealthCheckResponse_SERVING, grpc_health_v1.HealthCheckResponse_NOT_SERVING

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func local(t *testing.T) *Listener {
	t.Helper()
	return mustListen(t, Address{"tcp", "127.0.0.1:0"}, 0)
}

func healthClient(t *testing.T, l net.Listener) grpc_health_v1.HealthClient {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return grpc_health_v1.NewHealthClient(conn)
}

// start runs a part until the test ends or stop is called, which waits for it.
func start(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(time.Minute):
			t.Error("Run doesn't end")
		}
	}
	t.Cleanup(stop)
	return stop
}

// unforced has servers end once nothing holds them up any more, however long that takes, until the test ends.
func unforced(t *testing.T) {
	t.Helper()
	is := drainTime
	drainTime = time.Hour
	t.Cleanup(func() { drainTime = is })
}

// servers are the two kinds of listeners that tell the health.
func servers(t *testing.T, h *Health) map[string]func(net.Listener) func(context.Context) error {
	t.Helper()
	return map[string]func(net.Listener) func(context.Context) error{
		"grpc": func(l net.Listener) func(context.Context) error {
			g := NewGRPC()
			h.Register(g)
			return func(ctx context.Context) error { return g.Run(ctx, l) }
		},
		"http": func(l net.Listener) func(context.Context) error {
			d := NewDebug(prometheus.NewRegistry(), h, discard())
			return func(ctx context.Context) error { return d.Run(ctx, l) }
		},
	}
}

func TestHealthTellsTheTruth(t *testing.T) {
	h := NewHealth("pkg.Service")
	for name, server := range servers(t, h) {
		t.Run(name, func(t *testing.T) {
			h.SetReady(false)
			l := local(t)
			start(t, server(l))
			client := healthClient(t, l)
			expect := func(want map[string]grpc_health_v1.HealthCheckResponse_ServingStatus) {
				t.Helper()
				for service, status := range want {
					r, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: service})
					if err != nil || r.Status != status {
						t.Errorf("%q is %v, %v; want %v", service, r.GetStatus(), err, status)
					}
				}
			}
			type all = map[string]grpc_health_v1.HealthCheckResponse_ServingStatus
			expect(all{"": notServing, Liveness: serving, Readiness: notServing, "pkg.Service": notServing})
			h.SetReady(true)
			expect(all{"": serving, Liveness: serving, Readiness: serving, Startup: serving, "pkg.Service": serving})
			h.SetReady(false)
			expect(all{"": notServing, Liveness: serving, Readiness: notServing, Startup: serving, "pkg.Service": notServing})
			// The store's trouble is its own.
			h.SetReady(true)
			h.SetStorage(false)
			expect(all{"": serving, Liveness: serving, Readiness: serving, "pkg.Service": serving, Storage: notServing})
			h.SetStorage(true)
			expect(all{"": serving, Storage: serving})
		})
	}
}

// A client that watches the health must not keep the process from ending.
func TestWatchEndsWhenDraining(t *testing.T) {
	for name, server := range servers(t, NewHealth()) {
		t.Run(name, func(t *testing.T) {
			unforced(t)
			l := local(t)
			stop := start(t, server(l))
			watch, err := healthClient(t, l).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := watch.Recv(); err != nil {
				t.Fatal(err)
			}
			stop()
			if _, err := watch.Recv(); err == nil {
				t.Error("the watch goes on")
			}
		})
	}
}

func TestMetricsAndProfiles(t *testing.T) {
	registry := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "latchkey_test_total", Help: "Tests."})
	registry.MustRegister(c)
	c.Inc()
	l := local(t)
	d := NewDebug(registry, NewHealth(), discard())
	start(t, func(ctx context.Context) error { return d.Run(ctx, l) })
	for path, want := range map[string]string{
		"/metrics":                       "latchkey_test_total 1",
		"/debug/pprof/":                  "goroutine",
		"/debug/pprof/goroutine?debug=1": "goroutine profile",
		"/debug/pprof/cmdline":           "serve.test",
	} {
		r, err := http.Get("http://" + l.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Body.Close() != nil || r.StatusCode != 200 || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d, %v, without %q:\n%.300s", path, r.StatusCode, err, want, body)
		}
	}
	for _, path := range []string{"/", "/admin", "/latchkey.admin.v1.KeyService/CreateKey"} {
		r, err := http.Post("http://"+l.Addr().String()+path, "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		if _ = r.Body.Close(); r.StatusCode != 404 {
			t.Errorf("%s: %d, want 404", path, r.StatusCode)
		}
	}
}
