package authz

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Options are what a Server is made of.
type Options struct {
	Source Source           // required
	Log    *slog.Logger     // nil: slog.Default()
	Now    func() time.Time // nil: time.Now
}

// Server is the ext_authz service. It is safe for concurrent use.
type Server struct {
	authv3.UnimplementedAuthorizationServer
	source  Source
	log     *slog.Logger
	now     func() time.Time
	metrics *metrics
}

// NewServer returns a server that answers from what the source knows.
func NewServer(o Options) *Server {
	s := &Server{source: o.Source, log: o.Log, now: o.Now, metrics: newMetrics()}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.now == nil {
		s.now = time.Now
	}
	return s
}

// Check answers one request. A refusal is an answer and no error; the error
// is codes.Internal, after a panic, and tells nothing of the request.
func (s *Server) Check(ctx context.Context, check *authv3.CheckRequest) (response *authv3.CheckResponse, err error) {
	defer func() {
		if p := recover(); p != nil {
			// The value of a panic may quote the request: only its place is told.
			s.log.ErrorContext(ctx, "check panicked", "stack", string(debug.Stack()))
			response, err = nil, s.internal()
		}
	}()
	start := s.now()
	r := newRequest(check)
	v := Decide(s.source(), r, start)
	response = respond(&v, r)
	if !consistent(response) {
		s.log.ErrorContext(ctx, "inconsistent response", "reason", v.Reason.String())
		return nil, s.internal()
	}
	s.metrics.count(&v, s.now().Sub(start))
	if s.log.Enabled(ctx, slog.LevelDebug) {
		s.log.DebugContext(ctx, "check", "reason", v.Reason.String(), "facts", v.facts(), "revision", v.Revision)
	}
	return response, nil
}

func (s *Server) internal() error {
	s.metrics.panics.Inc()
	return status.Error(codes.Internal, "internal error")
}
