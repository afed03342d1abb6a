package authz

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Options are what a Server is made of.
type Options struct {
	Source Source           // required
	Log    *slog.Logger     // nil: slog.Default()
	Now    func() time.Time // nil: time.Now

	Observers []Observer // told of each check, in this order
}

// Server is the ext_authz service. It is safe for concurrent use.
type Server struct {
	authv3.UnimplementedAuthorizationServer
	source  Source
	log     *slog.Logger
	now     func() time.Time
	metrics *metrics

	observers []Observer
}

// NewServer returns a server that answers from what the source knows.
func NewServer(o Options) *Server {
	s := &Server{source: o.Source, log: o.Log, now: o.Now, metrics: newMetrics(), observers: o.Observers}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.now == nil {
		s.now = time.Now
	}
	return s
}

// Check answers one request, for callers that hold the generated types: it
// goes the way of every check, from bytes to bytes. A refusal is an answer and
// no error; the error is codes.Internal, for a request that can't be sent and
// after a panic, and tells nothing of the request.
func (s *Server) Check(ctx context.Context, check *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	x := newExchange()
	defer x.release()
	var err error
	if x.message, err = (proto.MarshalOptions{}).MarshalAppend(x.message, check); err != nil {
		return nil, status.Error(codes.Internal, errMalformed.Error())
	}
	if err := s.check(ctx, x); err != nil {
		return nil, err
	}
	response := &authv3.CheckResponse{}
	if err := proto.Unmarshal(x.out, response); err != nil {
		return nil, status.Error(codes.Internal, "the CheckResponse is malformed")
	}
	return response, nil
}

// check answers the request of an exchange, bytes in bytes.
func (s *Server) check(ctx context.Context, x *exchange) (err error) {
	defer func() {
		if p := recover(); p != nil {
			// The value of a panic may quote the request: only its place is told.
			s.log.ErrorContext(ctx, "check panicked", "stack", string(debug.Stack()))
			err = s.internal()
		}
	}()
	start := s.now()
	if err := x.request.decode(x.message); err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	d, a := &x.decision, &x.answer
	d.view, d.request, d.now = s.source(), &x.request, start
	d.decide()
	v := &d.Verdict
	respond(a, v, &x.request)
	if !a.consistent() {
		s.log.ErrorContext(ctx, "inconsistent response", "reason", v.Reason.String())
		return s.internal()
	}
	x.out = a.append(x.out[:0])
	took := s.now().Sub(start)
	s.metrics.count(v, took)
	s.observe(ctx, x, start, took)
	if s.log.Enabled(ctx, slog.LevelDebug) {
		s.log.DebugContext(ctx, "check", "reason", v.Reason.String(), "facts", a.facts.told(), "revision", v.Revision)
	}
	return nil
}

func (s *Server) internal() error {
	s.metrics.panics.Inc()
	return status.Error(codes.Internal, "internal error")
}
