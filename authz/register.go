package authz

import (
	"context"

	"google.golang.org/grpc"
)

// ServiceName is the full name of the service, as health checks call it.
const ServiceName = "envoy.service.auth.v3.Authorization"

// Register adds the service to a gRPC server that was made with ServerOption:
// without it every check is an error.
func (s *Server) Register(r grpc.ServiceRegistrar) { r.RegisterService(&service, s) }

// service is the description of the service that Envoy's types are generated
// with, but for the handler's request and response.
var service = grpc.ServiceDesc{
	ServiceName: ServiceName,
	HandlerType: (*checker)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Check", Handler: handle}},
	Metadata:    "envoy/service/auth/v3/external_auth.proto",
}

// checker is what handle asks.
type checker interface {
	check(context.Context, *exchange) error
}

// handle answers a call of Check. The exchange is released where the answer is
// handed to gRPC (codec.Marshal), or here where there is nothing to write.
func handle(server any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
	x := newExchange()
	if err := decode(x); err != nil {
		x.release()
		return nil, err
	}
	answer := func(ctx context.Context, request any) (any, error) {
		return request, server.(checker).check(ctx, request.(*exchange))
	}
	if interceptor != nil {
		return interceptor(ctx, x, &grpc.UnaryServerInfo{Server: server, FullMethod: "/" + ServiceName + "/Check"}, answer)
	}
	if err := server.(checker).check(ctx, x); err != nil {
		x.release()
		return nil, err
	}
	return x, nil
}
