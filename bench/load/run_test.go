//go:build linux

package load

import (
	"context"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// checks answers a path with what the path says.
type checks struct {
	authv3.UnimplementedAuthorizationServer
	begin chan struct{} // every check takes one, unless it is nil
}

func (s checks) Check(ctx context.Context, q *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	if s.begin != nil {
		select {
		case <-s.begin:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	switch q.GetAttributes().GetRequest().GetHttp().GetPath() {
	case "/allowed":
		return &authv3.CheckResponse{Status: &status.Status{}}, nil
	case "/denied":
		return denial(7, typev3.StatusCode_Forbidden), nil
	}
	return nil, errors.New("broken")
}

// serveChecks returns the network and address of a server.
func serveChecks(t *testing.T, network string, s checks, options ...grpc.ServerOption) (string, string) {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	authv3.RegisterAuthorizationServer(server, s)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	})
	return network, l.Addr().String()
}

func checkOf(t *testing.T, path string, bytes int) []byte {
	t.Helper()
	encoded, err := proto.Marshal(&authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{
		Http: &authv3.AttributeContext_HttpRequest{Path: path, Body: strings.Repeat("x", bytes)},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

func checkPlan(t *testing.T, bytes int) Plan {
	return Plan{
		Connections: 1, InFlight: 1, Warmup: 10 * time.Millisecond, Duration: 60 * time.Millisecond,
		Requests: [][]byte{checkOf(t, "/allowed", bytes), checkOf(t, "/denied", bytes)}, Want: []int{200, 403},
	}
}

func TestClosedLoop(t *testing.T) {
	for name, c := range map[string]struct {
		network               string
		connections, inFlight int
		bytes                 int
		options               []grpc.ServerOption
	}{
		"one over a Unix socket":      {"unix", 1, 1, 0, nil},
		"one over TCP":                {"tcp", 1, 1, 0, nil},
		"many":                        {"unix", 1, 256, 0, nil},
		"many over some connections":  {"tcp", 4, 64, 0, nil},
		"more than the window takes":  {"unix", 1, 256, 10_000, nil},
		"more than the server wants":  {"unix", 1, 256, 0, []grpc.ServerOption{grpc.MaxConcurrentStreams(7)}},
		"several frames an answer":    {"unix", 2, 32, 0, []grpc.ServerOption{grpc.WriteBufferSize(0)}},
		"workers instead of routines": {"unix", 1, 64, 0, []grpc.ServerOption{grpc.NumStreamWorkers(4)}},
	} {
		t.Run(name, func(t *testing.T) {
			p := checkPlan(t, c.bytes)
			p.Network, p.Address = serveChecks(t, c.network, checks{}, c.options...)
			p.Connections, p.InFlight = c.connections, c.inFlight
			began, ended := 0, 0
			p.Begin = func() error { began++; return nil }
			p.End = func() error { ended++; return nil }
			r, err := Run(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			if r.All == 0 || r.Answers > r.All || int64(r.Answers) != r.Latency.TotalCount() || r.Elapsed < p.Duration || r.Unanswered != 0 || began != 1 || ended != 1 {
				t.Errorf("%d answers of %d, %d times, %s, %d unanswered, begun %d times, ended %d times", r.Answers, r.All, r.Latency.TotalCount(), r.Elapsed, r.Unanswered, began, ended)
			}
		})
	}
}

func TestOpenLoop(t *testing.T) {
	for _, connections := range []int{1, 3} {
		p := checkPlan(t, 0)
		p.Network, p.Address = serveChecks(t, "unix", checks{})
		p.Connections, p.Rate = connections, 1000
		r, err := Run(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		// As many as were due within the time, however long each took.
		if want := int64(float64(p.Rate) * r.Elapsed.Seconds()); r.Latency.TotalCount() < want-2 || r.Latency.TotalCount() > want+2 || r.Unanswered != 0 {
			t.Errorf("%d times within %s, %d unanswered", r.Latency.TotalCount(), r.Elapsed, r.Unanswered)
		}
	}
}

// A stall counts for all requests that came due in it, not for the one that met it.
func TestOpenLoopCountsTheStalled(t *testing.T) {
	begin := make(chan struct{})
	p := checkPlan(t, 0)
	p.Network, p.Address = serveChecks(t, "unix", checks{begin: begin})
	p.Rate, p.Warmup, p.Duration = 1000, 0, 100*time.Millisecond
	p.End = func() error { close(begin); return nil } // nothing is answered before
	r, err := Run(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if p50 := time.Duration(r.Latency.ValueAtQuantile(50)); r.Answers != 0 || p50 < 40*time.Millisecond || r.Latency.TotalCount() < 90 {
		t.Errorf("%d answers, %d times with a median of %s", r.Answers, r.Latency.TotalCount(), p50)
	}
}

func TestWrongAnswersFail(t *testing.T) {
	for name, c := range map[string]struct {
		path string
		want int
		says string
	}{
		"allowed":    {"/allowed", 403, "was answered 200"},
		"denied":     {"/denied", 200, "was answered 403"},
		"other code": {"/denied", 401, "was answered 403"},
		"an error":   {"/broken", 200, "gRPC status"},
	} {
		t.Run(name, func(t *testing.T) {
			p := checkPlan(t, 0)
			p.Requests, p.Want = [][]byte{checkOf(t, c.path, 0)}, []int{c.want}
			p.Network, p.Address = serveChecks(t, "unix", checks{})
			if r, err := Run(t.Context(), p); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

func TestNobodyThere(t *testing.T) {
	p := checkPlan(t, 0)
	p.Network, p.Address = "unix", filepath.Join(t.TempDir(), "nobody")
	if _, err := Run(t.Context(), p); err == nil {
		t.Error("it was answered by nobody")
	}
}

func TestEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := checkPlan(t, 0)
	p.Network, p.Address = serveChecks(t, "unix", checks{})
	p.Duration = time.Hour
	p.Begin = func() error { cancel(); return nil }
	if _, err := Run(ctx, p); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestHTTP1(t *testing.T) {
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/denied" {
			w.WriteHeader(http.StatusForbidden)
		}
		_, _ = w.Write([]byte(strings.Repeat("x", 100)))
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	for _, rate := range []int{0, 500} {
		r, err := Run(t.Context(), Plan{
			Protocol: HTTP1, Network: "tcp", Address: l.Addr().String(), Connections: 16, InFlight: 16, Rate: rate, Warmup: time.Millisecond, Duration: 60 * time.Millisecond,
			Requests: [][]byte{[]byte("GET /allowed HTTP/1.1\r\nhost: h\r\n\r\n"), []byte("POST /denied HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n")},
			Want:     []int{200, 403},
		})
		if err != nil || r.All == 0 {
			t.Errorf("rate %d: %+v, %v", rate, r, err)
		}
	}
}

func TestPlansThatMakeNoSense(t *testing.T) {
	for name, change := range map[string]func(*Plan){
		"no requests":               func(p *Plan) { p.Requests = nil },
		"fewer answers":             func(p *Plan) { p.Want = p.Want[:1] },
		"no connections":            func(p *Plan) { p.Connections = 0 },
		"too long for a frame":      func(p *Plan) { p.Requests[0] = make([]byte, 17_000) },
		"connections for nothing":   func(p *Plan) { p.Connections = 2 },
		"two at once over HTTP/1.1": func(p *Plan) { p.Protocol, p.InFlight = HTTP1, 2 },
	} {
		p := checkPlan(t, 0)
		change(&p)
		if _, err := Run(t.Context(), p); err == nil {
			t.Errorf("%s: it ran", name)
		}
	}
}
