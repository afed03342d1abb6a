package envoytest_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/latchkey/latchkey/internal/envoytest"
)

// healthService is what hardened listeners ask for before they ask anything else.
const healthService = "envoy.service.auth.v3.Authorization"

// authz is the smallest authorization server that can show each thing a real one may
// do. The authorization header chooses: "Bearer allow" allows; "Bearer rewrite" allows
// and sets the path, "Bearer split" and "Bearer long" deny with a line break in a header
// and with a body of 5000 bytes: mistakes that a hardened Envoy catches. "Bearer 403"
// denies with that status, anything else with 401.
type authz struct {
	authv3.UnimplementedAuthorizationServer
	health *health.Server

	mu     sync.Mutex
	checks []*authv3.AttributeContext
}

// newSocket returns a path for a Unix socket that is short enough for one.
func newSocket(t *testing.T) string {
	t.Helper()
	dir, err := envoytest.SocketDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "authz.sock")
}

// serveAuthz serves on the socket until the returned function is called, or the test ends.
func serveAuthz(t *testing.T, socket string) (*authz, func()) {
	t.Helper()
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	a := &authz{health: health.NewServer()}
	a.health.SetServingStatus(healthService, healthpb.HealthCheckResponse_SERVING)
	s := grpc.NewServer()
	authv3.RegisterAuthorizationServer(s, a)
	healthpb.RegisterHealthServer(s, a.health)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.Serve(ln)
	}()
	stop := sync.OnceFunc(func() {
		s.Stop()
		<-served
	})
	t.Cleanup(stop)
	return a, stop
}

// takeChecks returns what was asked since the last call.
func (a *authz) takeChecks() []*authv3.AttributeContext {
	a.mu.Lock()
	defer a.mu.Unlock()
	checks := a.checks
	a.checks = nil
	return checks
}

// header finds the values of a header in either of the forms that Envoy sends.
func header(at *authv3.AttributeContext, name string) []string {
	h := at.GetRequest().GetHttp()
	if v, ok := h.GetHeaders()[name]; ok {
		return []string{v}
	}
	var values []string
	for _, f := range h.GetHeaderMap().GetHeaders() {
		if f.GetKey() == name {
			values = append(values, f.GetValue()+string(f.GetRawValue()))
		}
	}
	return values
}

func (a *authz) Check(_ context.Context, req *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	a.mu.Lock()
	a.checks = append(a.checks, req.GetAttributes())
	a.mu.Unlock()

	token := strings.TrimPrefix(strings.Join(header(req.GetAttributes(), "authorization"), ","), "Bearer ")
	metadata, err := structpb.NewStruct(map[string]any{"reason": "TOKEN_" + strings.ToUpper(token), "revision": 7})
	if err != nil {
		return nil, err
	}
	switch token {
	case "allow", "rewrite":
		set := &corev3.HeaderValue{Key: "x-latchkey-key-id", Value: "key_1"}
		if token == "rewrite" {
			set = &corev3.HeaderValue{Key: ":path", Value: "/rewritten"}
		}
		return &authv3.CheckResponse{
			Status:          &status.Status{Code: int32(codes.OK)},
			DynamicMetadata: metadata,
			HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{
				Headers:         []*corev3.HeaderValueOption{{Header: set}},
				HeadersToRemove: []string{"authorization", "x-latchkey-role", "x-api-key"},
			}},
		}, nil
	case "403":
		return deny(codes.PermissionDenied, typev3.StatusCode_Forbidden, metadata), nil
	}
	denied := deny(codes.Unauthenticated, typev3.StatusCode_Unauthorized, metadata)
	switch reply := denied.GetDeniedResponse(); token {
	case "split":
		reply.Headers[0].Header.Value = "no-store\r\nset-cookie: injected"
	case "long":
		reply.Body = strings.Repeat("x", 5000)
	}
	return denied, nil
}

func deny(code codes.Code, http typev3.StatusCode, metadata *structpb.Struct) *authv3.CheckResponse {
	return &authv3.CheckResponse{
		Status:          &status.Status{Code: int32(code)},
		DynamicMetadata: metadata,
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
			Status:  &typev3.HttpStatus{Code: http},
			Headers: []*corev3.HeaderValueOption{{Header: &corev3.HeaderValue{Key: "cache-control", Value: "no-store"}}},
			Body:    `{"denied":true}`,
		}},
	}
}
