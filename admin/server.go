package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/latchkey/latchkey/internal/link"
	"github.com/latchkey/latchkey/proto/latchkey/admin/v1/adminv1connect"
	"github.com/latchkey/latchkey/storage/tally"
)

// maxRequest is the largest request that is read, in bytes, unpacked. A
// directory of a hundred thousand people fits.
const maxRequest = 16 << 20

// Options of New.
type Options struct {
	// Ledger is the store. It must have been opened with Compiler.Compile.
	Ledger Ledger
	// Now is the clock. Nil: time.Now.
	Now func() time.Time
	// Log is where writes, reveals and failures are told: who did what and why,
	// with names of objects and no secret. Nil: slog.Default.
	Log *slog.Logger
	// Hosts returns further hosts under which the API is called, in lower case
	// and without a port, beside localhost and its addresses. It is called for
	// each request. Nil: none.
	Hosts func() []string
	// Operators are whom a client certificate makes an operator, asked for each
	// request; nil is nobody. That the certificate is verified is up to the listener.
	Operators *link.AllowList
	// Usage returns the file of when and how often keys are used, as it is now,
	// or an error while it isn't open. Nil: usage isn't recorded.
	Usage func() (*tally.File, error)
	// Extra are handlers for further services on the same listener and
	// behind the same guard, by path, or by its beginning where that ends in
	// a slash. Make them with HandlerOptions; they are read by Handler.
	Extra map[string]http.Handler
}

// Server changes keys, the directory and the policies of one store. It is safe
// for concurrent use.
type Server struct {
	ledger    Ledger
	now       func() time.Time
	log       *slog.Logger
	hosts     func() []string
	operators *link.AllowList
	usage     func() (*tally.File, error)
	extra     map[string]http.Handler

	// world is held shared by whoever writes keys and exclusively by whoever
	// writes what keys are judged by. So the writers of this process never
	// disturb each other for long; those of another are met by Based.
	world sync.RWMutex

	files files
}

// New returns a server of a store.
func New(o Options) *Server {
	if o.Operators == nil {
		o.Operators = link.NewAllowList(link.Identities{})
	}
	s := &Server{now: o.Now, log: o.Log, hosts: o.Hosts, operators: o.Operators, usage: o.Usage, extra: o.Extra}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	s.ledger = telling{o.Ledger, s.log}
	return s
}

// HandlerOptions are what every service on the admin listener is made with:
// strict JSON and protobuf, a limit for requests, and a panic that is told
// without its value, which may hold a secret.
func (s *Server) HandlerOptions() []connect.HandlerOption {
	return []connect.HandlerOption{
		connect.WithCodec(jsonCodec{}),
		connect.WithCodec(protoCodec{}),
		connect.WithReadMaxBytes(maxRequest),
		connect.WithRecover(func(_ context.Context, spec connect.Spec, _ http.Header, p any) error {
			s.log.Error("the admin API failed", "method", spec.Procedure, "panic", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			return connect.NewError(connect.CodeInternal, errors.New("an unexpected failure, which the log tells more about: please report it"))
		}),
	}
}

// Handler returns the API: Connect with JSON or protobuf, gRPC and gRPC-Web.
// gRPC needs HTTP/2, without TLS too on a unix socket (http.Protocols). Use it
// with ConnContext, or wrap it so that WithOperator is called.
func (s *Server) Handler() http.Handler {
	g := &guard{hosts: s.hosts, operators: s.operators, handlers: map[string]http.Handler{}}
	o := s.HandlerOptions()
	g.write = connect.NewErrorWriter(o...)
	for path, h := range s.extra {
		g.handlers[path] = h
	}
	for service, h := range map[string]func() (string, http.Handler){
		"KeyService": func() (string, http.Handler) { return adminv1connect.NewKeyServiceHandler(keyService{s: s}, o...) },
		"DirectoryService": func() (string, http.Handler) {
			return adminv1connect.NewDirectoryServiceHandler(directoryService{s: s}, o...)
		},
		"PolicyService": func() (string, http.Handler) {
			return adminv1connect.NewPolicyServiceHandler(policyService{s: s}, o...)
		},
		"LogService": func() (string, http.Handler) { return adminv1connect.NewLogServiceHandler(logService{s: s}, o...) },
	} {
		path, handler := h()
		// Method by method, so that what isn't listed doesn't get as far.
		for i := range methodsOf(service).Len() {
			g.handlers[path+string(methodsOf(service).Get(i).Name())] = handler
		}
	}
	return g
}

// answer runs an operation for whoever calls, and translates its error.
func answer[Request, Response any](s *Server, ctx context.Context, as string, r *connect.Request[Request],
	op func(context.Context, Caller, *Request) (*Response, error),
) (*connect.Response[Response], error) {
	caller, err := callerOf(ctx, as)
	if err != nil {
		return nil, status(err)
	}
	response, err := op(ctx, caller, r.Msg)
	if err != nil {
		return nil, status(s.scrubbed(err))
	}
	return connect.NewResponse(response), nil
}

// scrubbed returns an error of the same kind whose text quotes no token.
func (s *Server) scrubbed(err error) error {
	l, failed := s.look(nil)
	if failed != nil {
		return errors.Join(err, failed)
	}
	if text := l.scrub(err.Error()); text != err.Error() {
		return &fault{kindOf(err), text}
	}
	return err
}
