package main

import (
	"context"
	"flag"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/latchkey/latchkey/internal/serve"
)

// noop is the least that an ext_authz server in Go does: it decodes the request into
// the generated type and allows it.
type noop struct {
	authv3.UnimplementedAuthorizationServer
}

func (noop) Check(context.Context, *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	return &authv3.CheckResponse{
		Status:       &status.Status{},
		HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{}},
	}, nil
}

// runNoop serves until the context ends: with the defaults of grpc-go, or with the
// server options and memory settings of `latchkey serve`.
func runNoop(ctx context.Context, args []string, _, stderr io.Writer) error {
	f := flag.NewFlagSet("bench noop", flag.ContinueOnError)
	f.SetOutput(stderr)
	listen := f.String("listen", "", "host:port or unix:PATH")
	tuned := f.Bool("tuned", false, "as `latchkey serve` sets itself up")
	if err := f.Parse(args); err != nil {
		return err
	}
	l, err := listenAt(*listen)
	if err != nil {
		return err
	}
	ready := health.NewServer()
	if *tuned {
		memory := serve.NewMemory(slog.New(slog.NewTextHandler(stderr, nil)))
		var paced sync.WaitGroup
		defer paced.Wait()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		paced.Go(func() { _ = memory.Run(ctx) }) // it fails at nothing
		s := serve.NewGRPC()
		authv3.RegisterAuthorizationServer(s, noop{})
		healthpb.RegisterHealthServer(s, ready)
		return s.Run(ctx, l)
	}
	s := grpc.NewServer()
	authv3.RegisterAuthorizationServer(s, noop{})
	healthpb.RegisterHealthServer(s, ready)
	defer context.AfterFunc(ctx, s.Stop)()
	return s.Serve(l)
}

func listenAt(address string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return net.Listen("unix", path)
	}
	return net.Listen("tcp", address)
}
