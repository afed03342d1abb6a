package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/latchkey/latchkey/internal/link/linktest"
)

// readiness asks a sidecar's check socket how it is.
func readiness(t *testing.T, data string) func(want grpc_health_v1.HealthCheckResponse_ServingStatus) {
	t.Helper()
	c, err := grpc.NewClient("unix:"+data+".sock", grpc.WithTransportCredentials(insecure.NewCredentials()), quickly)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	health := grpc_health_v1.NewHealthClient(c)
	return func(want grpc_health_v1.HealthCheckResponse_ServingStatus) {
		t.Helper()
		eventually(t, "readiness is "+want.String(), func() error {
			for _, name := range []string{"", "readiness"} {
				got, err := health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: name})
				if err != nil {
					return err
				}
				if got.GetStatus() != want {
					return fmt.Errorf("%q is %s", name, got.GetStatus())
				}
			}
			got, err := health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "liveness"})
			if err == nil && got.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
				err = fmt.Errorf("it isn't alive: %s", got.GetStatus())
			}
			return err
		})
	}
}

// A sidecar is ready while it may answer: not before anything has come, not when its lease has ended, and again when the
// hub is back. What it isn't ready for it answers with 503.
func TestReadinessOfASidecar(t *testing.T) {
	f := newKilledFleet(t, 1)
	f.load()
	// A lease that doesn't end of itself between the kill of the hub and the question, whatever else the machine does.
	p, err := startPod(filepath.Join(f.dir, "pod"), "pod", "--hub", "unix:"+filepath.Join(f.dir, "hub.sock"), "--max-staleness", "8s")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.kill() }()
	is := readiness(t, filepath.Join(f.dir, "pod"))
	answered := func(want int) {
		t.Helper()
		got, err := p.ask(t.Context(), kodeyTeam, f.live[0].token)
		if err != nil || got != want {
			t.Errorf("a live key is answered %d, %v", got, err)
		}
	}
	is(grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	answered(http.StatusServiceUnavailable)
	for range 2 {
		v, err := f.startHub()
		if err != nil {
			t.Fatal(err)
		}
		is(grpc_health_v1.HealthCheckResponse_SERVING)
		answered(http.StatusOK)
		if err := v.kill(); err != nil {
			t.Fatal(err)
		}
		answered(http.StatusOK) // its lease runs on
		is(grpc_health_v1.HealthCheckResponse_NOT_SERVING)
		answered(http.StatusServiceUnavailable)
	}
}

// A sidecar that is started while every hub is down, or of a name that nobody knows, answers from what it has for as long
// as the lease of the process before runs.
func TestASidecarStartsWithEveryHubDown(t *testing.T) {
	f := newKilledFleet(t, 1)
	f.load()
	v, err := f.startHub()
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(f.dir, "pod")
	p, err := startPod(data, "pod", "--hub", "unix:"+filepath.Join(f.dir, "hub.sock"), "--max-staleness", "10m")
	if err != nil {
		t.Fatal(err)
	}
	readiness(t, data)(grpc_health_v1.HealthCheckResponse_SERVING)
	for _, end := range []func() error{p.kill, v.kill} {
		if err := end(); err != nil {
			t.Fatal(err)
		}
	}
	ca := linktest.NewCA(t, "ours")
	linktest.Write(t, f.dir, ca.Issue(t, linktest.Leaf{URIs: []string{"spiffe://mesh/pods/a"}}), ca)
	l, err := net.Listen("tcp", "127.0.0.1:0") // connects, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	config := filepath.Join(f.dir, "side.yaml")
	text := "hub: [hub.invalid:9443, '" + l.Addr().String() + "', 'unix:" + filepath.Join(f.dir, "hub.sock") + "']\nmax_staleness: 10m\ntls: {certificate: tls.crt, key: tls.key, ca: ca.crt}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	soonest := time.Hour
	for range 5 { // who waits for hubs takes longer every time, and a busy machine does now and then
		began := time.Now()
		if p, err = startPod(data, "pod", "--config", config); err != nil {
			t.Fatal(err)
		}
		got, err := p.ask(t.Context(), kodeyTeam, f.live[0].token)
		took := time.Since(began)
		if err != nil || got != http.StatusOK {
			t.Errorf("a live key is answered %d, %v\n%s", got, err, p.log.tail(10))
		}
		if err := p.kill(); err != nil {
			t.Fatal(err)
		}
		t.Logf("it answered %s after it was executed", took.Round(time.Millisecond))
		if soonest = min(soonest, took); soonest <= locating {
			return
		}
	}
	t.Errorf("it waits for hubs before it answers: %s at least", soonest)
}

// locating is less than a sidecar waits for hubs that say nothing.
const locating = 3 * time.Second
