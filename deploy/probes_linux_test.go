package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// until waits until a probe succeeds. It comes from the node, to the pod's address.
func (p *runningPod) until(t *testing.T, c *container, name string, asks *probe) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := p.probe(t.Context(), asks)
		if err == nil {
			return
		}
		select {
		case <-p.containers[c.Name].proc.Done():
			t.Fatalf("%s of %s ended: %v", c.Name, p.name, p.containers[c.Name].proc.Err())
		case <-deadline:
			t.Fatalf("%s of %s: its %s probe fails: %v", c.Name, p.name, name, err)
		case <-tick.C:
		}
	}
}

// dial connects from the node to a port of the pod.
func (p *runningPod) dial(ctx context.Context, port int) (net.Conn, error) {
	return p.node.Dial(ctx, "tcp", net.JoinHostPort(p.host.Addr().String(), strconv.Itoa(port)))
}

func (p *runningPod) probe(ctx context.Context, asks *probe) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	switch {
	case asks.GRPC != nil:
		c, err := grpc.NewClient("passthrough:///pod", grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return p.dial(ctx, asks.GRPC.Port) }))
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		answer, err := grpc_health_v1.NewHealthClient(c).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: asks.GRPC.Service})
		if err == nil && answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
			err = errors.New(answer.GetStatus().String())
		}
		return err
	case asks.HTTP != nil:
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://pod"+asks.HTTP.Path, nil)
		if err != nil {
			return err
		}
		client := p.client(asks.HTTP.Port)
		defer client.CloseIdleConnections()
		answer, err := client.Do(r)
		if err != nil {
			return err
		}
		if answer.StatusCode != http.StatusOK {
			err = errors.New(answer.Status)
		}
		return errors.Join(err, answer.Body.Close())
	case asks.TCP != nil:
		c, err := p.dial(ctx, asks.TCP.Port)
		if err != nil {
			return err
		}
		return c.Close()
	}
	return fmt.Errorf("no such probe is known: %+v", asks)
}

// client asks a port of the pod. Close its connections after use.
func (p *runningPod) client(port int) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return p.dial(ctx, port) },
	}}
}
