package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/latchkey/latchkey/internal/envoytest"
)

// leaveTime is what a process may take from the signal to its end, beside the delay that it was told to wait.
const leaveTime = 20 * time.Second

// rolling is load through Envoy while those who answer it are restarted.
type rolling struct {
	t     *testing.T
	f     *killedFleet
	hub   *victim
	envoy *envoytest.Envoy
	load  *steady
	stop  func()

	allowed, refused, failed, wrong atomic.Int64
	slowest                         time.Duration // from the signal to the end of a process
	gap                             time.Duration // the longest from the signal until the next process answers
}

// newRolling starts a hub with a key that is live and one that was revoked.
func newRolling(t *testing.T) *rolling {
	t.Helper()
	r := &rolling{t: t, f: newKilledFleet(t, 1)}
	r.f.load()
	var err error
	if r.hub, err = r.f.startHub(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.hub.kill() })
	if _, _, err := r.hub.answers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.f.revoke(t.Context(), r.hub); err != nil {
		t.Fatal(err)
	}
	return r
}

// begin starts an Envoy that asks the processes at these sockets, and the load. A live key is presented by every other
// request; the others have to be refused. Envoy is as patient as docs/reload.md says when LATCHKEY_RELOADS is set; else
// it is more so, since the machine may be busy.
func (r *rolling) begin(sockets ...string) {
	t := r.t
	t.Helper()
	timeout, retries, threshold := checkTime, 300, unanswered
	if os.Getenv("LATCHKEY_RELOADS") != "" {
		timeout, retries, threshold = 500*time.Millisecond, 10, 2
	}
	up := envoytest.RunUpstream(t)
	r.envoy = envoytest.Run(t, envoytest.Config{
		AuthzSocket: sockets[0], MoreAuthzSockets: sockets[1:], Upstream: up.Addr(), CheckTimeout: timeout, CheckRetries: retries, UnhealthyThreshold: threshold,
		Listeners: []envoytest.Listener{{Profile: envoytest.Hardened}},
	})
	r.healthy(len(sockets))
	tokens := []string{r.f.live[0].token, r.f.dead[0].token, r.f.live[1].token, "sk_live_" + "0123456789abcdefghijABCDEFGHIJ"}
	r.load = &steady{address: r.envoy.Addr(string(envoytest.Hardened)), rate: steadyRate}
	r.load.ask = func(n int) []byte {
		return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nhost: %s\r\nauthorization: Bearer %s\r\n\r\n", kodeyTeam.path, kodeyTeam.host, tokens[n%len(tokens)])
	}
	r.load.noted = func(n, status int, _ http.Header, _ []byte, err error) {
		live := n%2 == 0
		switch {
		case err != nil || status >= 500:
			r.failed.Add(1)
		case live && status == http.StatusOK:
			r.allowed.Add(1)
		case !live && status == http.StatusUnauthorized:
			r.refused.Add(1)
		default:
			r.wrong.Add(1)
		}
	}
	r.stop = r.load.start()
	r.answers(500)
}

// healthy waits until Envoy sends checks to so many processes.
func (r *rolling) healthy(want int) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("Envoy asks %d processes", want), func() error {
		n, err := r.envoy.Healthy(r.t.Context(), "latchkey")
		if err == nil && n != want {
			err = fmt.Errorf("%d are healthy", n)
		}
		return err
	})
}

// answers waits for so many more answers.
func (r *rolling) answers(n int64) {
	r.t.Helper()
	until := r.load.sent.Load() + n
	eventually(r.t, "the load goes on", func() error {
		if r.load.sent.Load() < until {
			return errors.New("not yet")
		}
		return nil
	})
}

// leave tells a process to stop, and waits for that.
func (r *rolling) leave(process *os.Process, stop func() error, delay time.Duration) {
	r.t.Helper()
	began := time.Now()
	if err := stop(); err != nil {
		r.t.Fatalf("process %d: %v", process.Pid, err)
	}
	took := time.Since(began) - delay
	r.slowest = max(r.slowest, took)
	if took > leaveTime {
		r.t.Errorf("it took %s to end", took)
	}
}

// end ends the load, and holds what came of it against the bar.
func (r *rolling) end(what string, restarts int) {
	r.t.Helper()
	r.answers(500)
	r.stop()
	sent := r.load.sent.Load()
	share := 100 * float64(r.failed.Load()) / float64(sent)
	r.t.Logf("%s: %d restarts under %.0f requests a second in %s: %d allowed, %d refused, %d failed (%.3f%%), %d wrong; a process takes %s at most to end, and the next one answers %s after the signal",
		what, restarts, r.load.reached(), r.load.took.Round(time.Millisecond), r.allowed.Load(), r.refused.Load(), r.failed.Load(), share, r.wrong.Load(),
		r.slowest.Round(time.Millisecond), r.gap.Round(time.Millisecond))
	if wrong := r.wrong.Load(); wrong > 0 {
		r.t.Errorf("%s: %d requests were allowed or refused wrongly", what, wrong)
	}
	if share > 0.1 {
		stats, err := r.envoy.Stats(r.t.Context(), `cluster\.latchkey\.(health_check\..*|upstream_rq_(retry|retry_limit_exceeded|retry_overflow|timeout)|upstream_cx_(none_healthy|connect_fail))`)
		r.t.Logf("Envoy counts %v, %v", stats, err)
		r.t.Errorf("%s: %d of %d requests failed, which is more than 0.1%%", what, r.failed.Load(), sent)
	}
}

// Two processes answer one Envoy, and are restarted one after the other: each says by its health that it is going away
// for as long as Envoy takes to see that, and then ends.
func TestRollingRestartOfTwo(t *testing.T) {
	const delay = 2 * time.Second
	r := newRolling(t)
	names := []string{"a", "b"}
	pods := map[string]*pod{}
	var sockets []string
	start := func(name string) {
		t.Helper()
		data := filepath.Join(r.f.dir, name)
		var err error
		if pods[name], err = startPod(data, name, "--hub", "unix:"+filepath.Join(r.f.dir, "hub.sock"), "--max-staleness", "10m", "--drain-delay", "2s"); err != nil {
			t.Fatal(err)
		}
		readiness(t, data)(grpc_health_v1.HealthCheckResponse_SERVING)
	}
	for _, name := range names {
		start(name)
		sockets = append(sockets, filepath.Join(r.f.dir, name)+".sock")
	}
	defer func() {
		for _, p := range pods {
			_ = p.kill()
		}
	}()
	r.begin(sockets...)
	rounds := max(1, reloads(t)/100)
	for range rounds {
		for _, name := range names {
			p := pods[name]
			r.leave(p.cmd.Process, func() error {
				return endProcess(p.cmd, p.exited, p.log, syscall.SIGTERM, endedByItself)
			}, delay)
			start(name)
			r.healthy(len(names))
		}
	}
	r.end("two processes, drained", rounds*len(names))
}

// One process answers Envoy on a Unix socket and is restarted: Envoy asks again until the next one listens.
func TestRestartOfOne(t *testing.T) {
	r := newRolling(t)
	r.begin(filepath.Join(r.f.dir, "hub", "authz.sock"))
	rounds := max(2, reloads(t)/50)
	for range rounds {
		began := time.Now()
		r.leave(r.hub.cmd.Process, r.hub.stop, 0)
		var err error
		if r.hub, err = r.f.startHub(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.hub.answers(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.gap = max(r.gap, time.Since(began))
		// Envoy forgets a health check that failed meanwhile with the next one, a second later: as many as its threshold, one
		// after the other, would have it refuse all.
		r.answers(2500)
	}
	r.end("one process, asked again", rounds)
}
