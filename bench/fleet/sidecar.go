package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"time"

	"github.com/latchkey/latchkey/bench/load"
	"github.com/latchkey/latchkey/bench/proc"
	"github.com/latchkey/latchkey/bench/stock"
	"github.com/latchkey/latchkey/internal/envoytest"
)

// sidecar is a real replica.
type sidecar struct {
	*proc.Child
	*debugPort
	log   string
	check string // socket that Envoy asks
}

// startSidecar starts a sidecar with a data folder. It doesn't wait for it to serve.
func (f *fleet) startSidecar(h *hub, name, data string) (s *sidecar, err error) {
	s = &sidecar{debugPort: newDebugPort(f.socket()), check: f.socket(), log: f.logOf(name)}
	args := []string{"--hub", h.at, "--data", data, "--listen", "unix:" + s.check, "--http", "unix:" + s.path, "--name", name, "--max-staleness", maxStaleness.String()}
	if h.tls != nil {
		args = append(args, "--config", f.certificates.sidecar)
	}
	s.Child, err = proc.Start(name, s.log, f.options.sidecar, args...)
	return s, err
}

var snapshotBytes = regexp.MustCompile(`fetching a snapshot.*?\bbytes"?[=:]"?(\d+)`)

// fetched returns how many bytes of a snapshot it was sent, by its log.
func (s *sidecar) fetched() (int64, error) {
	text, err := os.ReadFile(s.log)
	if err != nil {
		return 0, err
	}
	found := snapshotBytes.FindSubmatch(text)
	if found == nil {
		return 0, errors.New("the sidecar's log doesn't say how large the snapshot was")
	}
	return strconv.ParseInt(string(found[1]), 10, 64)
}

// guarded is a sidecar behind an Envoy.
type guarded struct {
	*sidecar
	envoy *envoytest.Envoy
	at    string // host:port of the Envoy
	by    *http.Client
}

// startGuarded starts a sidecar and an Envoy in front of it, and returns once requests are answered.
func (f *fleet) startGuarded(ctx context.Context, h *hub, name, upstream string) (_ *guarded, err error) {
	data, err := os.MkdirTemp(f.dir, name)
	if err != nil {
		return nil, err
	}
	g := &guarded{by: &http.Client{Timeout: soon, Transport: &http.Transport{DialContext: (&net.Dialer{}).DialContext}}}
	defer func() {
		if err != nil {
			g.end()
		}
	}()
	if g.sidecar, err = f.startSidecar(h, name, data); err != nil {
		return nil, err
	}
	if err := g.Await(ctx, func() error { return g.serving(ctx) }); err != nil {
		return nil, err
	}
	if g.envoy, err = envoytest.Start(ctx, envoytest.Config{
		AuthzSocket: g.check, Upstream: upstream, Listeners: []envoytest.Listener{{Profile: envoytest.Hardened}},
		PolicyHeaders: []string{"x-team-id"}, CheckTimeout: 5 * time.Second,
	}); err != nil {
		return nil, err
	}
	g.at = g.envoy.Addr(string(envoytest.Hardened))
	return g, g.Await(ctx, func() error {
		status, err := g.ask(ctx, stock.Nth(0))
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("a key that is in use is answered %d", status)
		}
		return err
	})
}

func (g *guarded) end() {
	if g.envoy != nil {
		g.envoy.Stop()
	}
	if g.sidecar != nil {
		g.End()
	}
}

// ask asks through Envoy with a key, and returns the status.
func (g *guarded) ask(ctx context.Context, c stock.Credential) (int, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.at+"/v1/chat", nil)
	if err != nil {
		return 0, err
	}
	q.Host = "api.kodey.example"
	q.Header.Set("Authorization", "Bearer "+c.Token)
	a, err := g.by.Do(q)
	if err != nil {
		return 0, err
	}
	return a.StatusCode, a.Body.Close()
}

// look is how often it is asked whether a key is dead.
const look = 2 * time.Millisecond

// awaitDead asks with a key until it is refused, and returns when that was.
func (g *guarded) awaitDead(ctx context.Context, c stock.Credential) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, soon)
	defer cancel()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		status, err := g.ask(ctx, c)
		switch {
		case err != nil:
			return time.Time{}, err
		case status == http.StatusUnauthorized:
			return time.Now(), nil
		case status != http.StatusOK:
			return time.Time{}, fmt.Errorf("a key that was revoked a moment ago is answered %d", status)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		}
	}
}

// trafficStep is how long requests go on before it is looked whether they are to end.
const trafficStep = 200 * time.Millisecond

// traffic drives requests through the Envoy until the context ends, so many a second, each of which must be allowed,
// and returns how many were answered.
func (g *guarded) traffic(ctx context.Context, rate int) (answered int, err error) {
	plan := load.Plan{Protocol: load.HTTP1, Network: "tcp", Address: g.at, Connections: 4, Rate: rate, Duration: trafficStep}
	for n := range inUse {
		plan.Requests = append(plan.Requests, fmt.Appendf(nil, "GET /v1/chat HTTP/1.1\r\nhost: api.kodey.example\r\nauthorization: Bearer %s\r\n\r\n", stock.Nth(n).Token))
		plan.Want = append(plan.Want, http.StatusOK)
	}
	for ctx.Err() == nil {
		result, err := load.Run(ctx, plan)
		switch {
		case ctx.Err() != nil:
			return answered, nil
		case err != nil:
			return answered, err
		}
		answered += result.All
		plan.First += result.All
	}
	return answered, nil
}
