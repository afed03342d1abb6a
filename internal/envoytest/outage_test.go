package envoytest_test

import (
	"net/http"
	"testing"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/latchkey/latchkey/internal/envoytest"
)

// patience bounds every wait for something that happens soon.
const patience = 30 * time.Second

// await polls until a request gets the wanted status.
func await(t *testing.T, addr, token string, want int) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		resp := h1(t, addr, get("/v1/chat", token, ""))
		if resp.Status == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still %d, want %d", resp.Status, want)
		}
	}
}

// Envoy's own answer to an outage is 403; only the hardened profile says 503. A server
// that says NOT_SERVING is left alone by the hardened profile and asked by the plain one.
func TestOutage(t *testing.T) {
	socket := newSocket(t)
	u := envoytest.RunUpstream(t)
	e := envoytest.Run(t, envoytest.Config{
		AuthzSocket: socket, Upstream: u.Addr(), CheckTimeout: 10 * time.Second, HealthInterval: 100 * time.Millisecond,
		Listeners: []envoytest.Listener{{Profile: envoytest.Plain}, {Profile: envoytest.Hardened}},
	})
	plain, hardened := e.Addr("plain"), e.Addr("hardened")

	for addr, want := range map[string]int{plain: http.StatusForbidden, hardened: http.StatusServiceUnavailable} {
		if resp := h1(t, addr, get("/v1/chat", "allow", "down")); resp.Status != want {
			t.Errorf("no authorization server: got %d, want %d", resp.Status, want)
		}
	}
	if recs := u.Take("down"); len(recs) != 0 {
		t.Errorf("requests got through without a check: %+v", recs)
	}

	a, stop := serveAuthz(t, socket)
	await(t, plain, "allow", 200)
	await(t, hardened, "allow", 200)

	a.health.SetServingStatus(healthService, healthpb.HealthCheckResponse_NOT_SERVING)
	await(t, hardened, "allow", 503)
	a.takeChecks()
	if resp := h1(t, hardened, get("/v1/chat", "allow", "")); resp.Status != 503 || len(a.takeChecks()) != 0 {
		t.Errorf("a server that is NOT_SERVING was asked, or the answer was %d", resp.Status)
	}
	if resp := h1(t, plain, get("/v1/chat", "allow", "")); resp.Status != 200 {
		t.Errorf("plain: %d", resp.Status)
	}
	a.health.SetServingStatus(healthService, healthpb.HealthCheckResponse_SERVING)
	await(t, hardened, "allow", 200)

	stop()
	await(t, hardened, "allow", 503)
	await(t, plain, "allow", 403)
	serveAuthz(t, socket)
	await(t, hardened, "allow", 200)
	await(t, plain, "allow", 200)
}
