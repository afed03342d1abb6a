package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/latchkey/latchkey/bench/load"
	"github.com/latchkey/latchkey/bench/proc"
	"github.com/latchkey/latchkey/internal/freeport"
)

// address is where a subject listens.
type address struct{ network, target string }

// String is as latchkey's --listen reads it.
func (a address) String() string {
	if a.network == "unix" {
		return "unix:" + a.target
	}
	return a.target
}

// instance is a subject that runs and can be reached in one way.
type instance struct {
	*subject
	server   *proc.Child // nil where Envoy is alone
	envoy    *proc.Child // nil where the server is asked directly
	at       address
	protocol load.Protocol
	work     *work
	requests [][]byte
	want     []int
}

// start starts a subject and returns once it answers as it should.
func (b *bench) start(ctx context.Context, s *subject, w way) (_ *instance, err error) {
	work, err := b.work(s.keys)
	if err != nil {
		return nil, err
	}
	i := &instance{subject: s, work: work}
	defer func() {
		if err != nil {
			i.end()
		}
	}()
	for a := range work.asked {
		i.want = append(i.want, s.wants(&work.asked[a]))
	}
	if i.at, err = b.vacant(w); err != nil {
		return nil, err
	}
	if s.start != nil {
		if i.server, err = s.start(i.at); err != nil {
			return nil, err
		}
		i.protocol, i.requests = load.GRPC, work.raw
		if s.joined {
			i.requests = work.joined
		}
		if err := i.awaitAnswers(ctx, i.server); err != nil {
			return nil, err
		}
	}
	if w == viaEnvoy {
		if i.envoy, i.at, err = b.startEnvoy(ctx, s, i.at.target); err != nil {
			return nil, err
		}
		i.protocol, i.requests = load.HTTP1, work.http
		if err := i.awaitAnswers(ctx, i.envoy); err != nil {
			return nil, err
		}
	}
	return i, nil
}

// end ends its processes.
func (i *instance) end() {
	i.envoy.End()
	i.server.End()
}

// vacant returns an address that nobody listens at.
func (b *bench) vacant(w way) (address, error) {
	if w != tcpSocket {
		b.sockets++
		return address{"unix", b.file(fmt.Sprintf("%d.sock", b.sockets))}, nil
	}
	target, err := freeport.Address()
	return address{"tcp", target}, err
}

// awaitAnswers waits until the first requests are answered as they should.
func (i *instance) awaitAnswers(ctx context.Context, c *proc.Child) error {
	return c.Await(ctx, func() error {
		if i.at.network == "unix" {
			if _, err := os.Stat(i.at.target); err != nil {
				return err
			}
		}
		_, err := load.Run(ctx, load.Plan{
			Protocol: i.protocol, Network: i.at.network, Address: i.at.target, Connections: 1, InFlight: 1,
			Duration: 20 * time.Millisecond, Requests: i.requests, Want: i.want,
		})
		if wrong := (*load.AnswerError)(nil); errors.As(err, &wrong) && wrong.Got != http.StatusServiceUnavailable {
			return proc.Final(i.explain(err)) // it is ready, and wrong
		}
		return err
	})
}

// explain adds to an error about an answer what was asked.
func (i *instance) explain(err error) error {
	if wrong := (*load.AnswerError)(nil); errors.As(err, &wrong) {
		a := &i.work.asked[wrong.Request]
		return fmt.Errorf("%w: %s %s, with a key that is known: %t, x-team-id %q", err, a.method, a.path, a.known, a.team)
	}
	return err
}
