package authz

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
)

// dial serves checks and health on a connection in memory.
func dial(t *testing.T, s *Server, options ...grpc.ServerOption) *grpc.ClientConn {
	t.Helper()
	l := bufconn.Listen(1 << 16)
	server := grpc.NewServer(append(options, ServerOption())...)
	s.Register(server)
	healthv1.RegisterHealthServer(server, health.NewServer())
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:///memory", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return l.Dial() }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// asBytes sends and receives messages as they are.
type asBytes struct{}

func (asBytes) Name() string { return "proto" }

func (asBytes) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (asBytes) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

const method = "/envoy.service.auth.v3.Authorization/Check"

// TestOverGRPC: a client with the generated types is answered, and so is who
// asks for the health on the same server.
func TestOverGRPC(t *testing.T) {
	w := newWorld(t)
	s := fixture(t, w)
	intercepted := 0
	for _, options := range [][]grpc.ServerOption{nil, {grpc.UnaryInterceptor(func(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		if info.FullMethod == method && info.Server == s {
			intercepted++
		}
		return next(ctx, request)
	})}} {
		conn := dial(t, s, options...)
		client := authv3.NewAuthorizationClient(conn)
		for _, f := range []form{mapped, raw} {
			got, err := client.Check(t.Context(), envoy(f, "GET", "/things", bearer("key_full")))
			if err != nil {
				t.Fatal(err)
			}
			if a := readAnswer(t, got); a.reason != "ALLOWED" || a.headers["x-latchkey-key-id"] != "key_full" {
				t.Errorf("answered with %v", a)
			}
			got, err = client.Check(t.Context(), envoy(f, "GET", "/things"))
			if err != nil {
				t.Fatal(err)
			}
			if a := readAnswer(t, got); a.reason != "KEY_MISSING" || a.status != 401 {
				t.Errorf("answered with %v", a)
			}
		}
		if got, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil || got.GetStatus() != healthv1.HealthCheckResponse_SERVING {
			t.Errorf("the health is %v, %v", got, err)
		}
	}
	if intercepted != 4 {
		t.Errorf("%d of 4 checks were intercepted", intercepted)
	}
}

// TestErrorsOverGRPC: what is malformed ends as it does with the generated
// types, and so does a panic; neither tells anything of the request.
func TestErrorsOverGRPC(t *testing.T) {
	w := newWorld(t)
	s := fixture(t, w)
	conn := dial(t, s)
	ask := func(message []byte) ([]byte, error) {
		var answer []byte
		err := conn.Invoke(t.Context(), method, message, &answer, grpc.ForceCodecV2(asBytes{}))
		return answer, err
	}
	for _, c := range nastyMessages() {
		_, err := ask(c.message)
		if c.malformed != (err != nil) || c.malformed && status.Code(err) != codes.Internal {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	secret := "the-secret"
	_, err := ask(httpOf(str(4, secret+"\xff")))
	if status.Code(err) != codes.Internal || strings.Contains(err.Error(), secret) {
		t.Errorf("a malformed message: %v", err)
	}
	good, err := proto.Marshal(get("/things", bearer("key_full")))
	if err != nil {
		t.Fatal(err)
	}
	s.source = func() View { panic(secret) }
	if _, err := ask(good); status.Code(err) != codes.Internal || strings.Contains(err.Error(), secret) {
		t.Errorf("a panic: %v", err)
	}
	s.source = w.view
	for range 3 { // an exchange that failed is as good as new
		if _, err := ask(good); err != nil {
			t.Errorf("after a panic: %v", err)
		}
	}
}

// TestExchangesAreNotMixed: many at a time, of every size, each with its own answer.
func TestExchangesAreNotMixed(t *testing.T) {
	view := newWorld(t).view()
	view.Keys = frozen{view.Keys.(*world)}
	s := NewServer(Options{Source: func() View { return view }, Now: func() time.Time { return noon }})
	client := authv3.NewAuthorizationClient(dial(t, s))
	var askers sync.WaitGroup
	for i := range 8 {
		askers.Go(func() {
			for j := range 200 {
				id := fmt.Sprintf("id-%d-%d", i, j)
				padding := strings.Repeat("x", (i*j*97)%20_000)
				got, err := client.Check(context.Background(), envoy(form(j%2 == 0), "GET", "/things", "x-request-id: "+id, "x-latchkey-"+id+": x", "cookie: "+padding))
				if err != nil {
					t.Error(err)
					return
				}
				if body := got.GetDeniedResponse().GetBody(); !strings.HasSuffix(body, `"request_id":"`+id+`"}`) {
					t.Errorf("%s is answered with %s", id, body)
				}
				got, err = client.Check(context.Background(), envoy(form(j%2 == 0), "GET", "/things", bearer("key_full"), "x-latchkey-"+id+": x", "cookie: "+padding))
				if err != nil {
					t.Error(err)
					return
				}
				if removed := fmt.Sprint(got.GetOkResponse().GetHeadersToRemove()); !strings.Contains(removed, "x-latchkey-"+id+" ") || strings.Count(removed, "-id-") != 1 {
					t.Errorf("%s: %s are removed", id, removed)
				}
			}
		})
	}
	askers.Wait()
}

// TestThePoolIsBounded: what one large request needed isn't kept, and what is
// kept knows nothing of the request before.
func TestThePoolIsBounded(t *testing.T) {
	s := fixture(t, newWorld(t))
	for _, c := range []struct {
		name  string
		check *authv3.CheckRequest
		kept  bool
	}{
		{"a small one", get("/things", bearer("key_full")), true},
		{"a long header", get("/things", "cookie: "+strings.Repeat("x", mostKept)), false},
		{"many headers", manyHeaders("x-", 2000), false},
		{"many headers to remove", manyHeaders("x-latchkey-", 1500), false},
	} {
		x := exchanges.New().(*exchange)
		message, err := proto.Marshal(c.check)
		if err != nil {
			t.Fatal(err)
		}
		x.message = append(x.message, message...)
		if err := s.check(t.Context(), x); err != nil {
			t.Fatal(err)
		}
		x.release()
		if kept := x.kept() <= mostKept; kept != c.kept {
			t.Errorf("%s: %d bytes; it is kept: %v", c.name, x.kept(), kept)
		}
		if y := newExchange(); y == x && !c.kept {
			t.Errorf("%s: the pool has it", c.name)
		}
		r := &x.request
		if r.method+r.host+r.path+r.query+r.shown+r.raw+r.id != "" || len(r.headers.mapped)+len(r.headers.listed)+len(r.room)+len(r.extensions)+r.raws != 0 || r.torn || bool(r.verbatim) {
			t.Errorf("%s: the request still says %+v", c.name, r)
		}
		if a := &x.answer; a.allows || len(a.headers)+len(a.remove) != 0 || a.body+a.plan != "" || a.facts != (facts{}) || len(x.message)+len(x.out) != 0 {
			t.Errorf("%s: the answer still says %+v", c.name, a)
		}
	}
	check := get("/things")
	check.GetAttributes().ContextExtensions = map[string]string{}
	for i := range mostExtensions + 1 {
		check.GetAttributes().ContextExtensions[fmt.Sprint(i)] = "x"
	}
	if r := newRequest(check); len(r.extensions) != mostExtensions+1 {
		t.Errorf("%d extensions", len(r.extensions))
	} else if r.reset(); r.extensions != nil {
		t.Error("a large map is kept")
	}
}

func manyHeaders(prefix string, n int) *authv3.CheckRequest {
	headers := []string{bearer("key_full")}
	for i := range n {
		headers = append(headers, fmt.Sprintf("%s%d: x", prefix, i))
	}
	return get("/things", headers...)
}

// TestNothingOutlivesACheck: what was told of a request stays what it was when
// the memory of the request is another's.
func TestNothingOutlivesACheck(t *testing.T) {
	w := newWorld(t)
	log := &recordingHandler{}
	s := NewServer(Options{Source: w.view, Now: func() time.Time { return noon }, Log: newDebugLog(log)})
	for _, c := range reasonCases() {
		x := newExchange()
		message, err := proto.Marshal(c.request)
		if err != nil {
			t.Fatal(err)
		}
		x.message = append(x.message, message...)
		if err := s.check(t.Context(), x); err != nil {
			t.Fatal(err)
		}
		before, labels := log.text(), gather(t, s)
		for _, memory := range [][]byte{x.message, x.request.room} {
			for i := range memory {
				memory[i] = '#'
			}
		}
		if after := log.text(); after != before {
			t.Errorf("the log said %s, and says %s", before, after)
		}
		for name, n := range gather(t, s) {
			if labels[name] != n {
				t.Errorf("%s was %v, and is %v", name, labels[name], n)
			}
		}
		data, err := codec{}.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data.Materialize(), []byte("##")) {
			t.Errorf("the answer reads the memory of the request: %q", data.Materialize())
		}
		if data.Free(); len(x.message)+len(x.out) != 0 {
			t.Error("gRPC doesn't give the exchange back")
		}
	}
}

// TestServicesOfOthers are read and written by their own codec.
func TestServicesOfOthers(t *testing.T) {
	c := codec{encoding.GetCodecV2("proto")}
	want := &healthv1.HealthCheckRequest{Service: ServiceName}
	data, err := c.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got := &healthv1.HealthCheckRequest{}
	if err := c.Unmarshal(data, got); err != nil || !proto.Equal(got, want) || c.Name() != "proto" {
		t.Errorf("%v, %v", got, err)
	}
}
