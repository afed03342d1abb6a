package tracing

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
)

// gate hands on to OpenTelemetry's handler what may be traced, and nothing else:
// the handler costs as much where nothing comes of it, which is most of the time.
type gate struct {
	stats.Handler
	roots bool // calls that nobody has decided about may be traced
	all   bool // also those that Envoy decided not to trace may be: the environment has a sampler
}

// TagRPC implements stats.Handler.
func (g gate) TagRPC(ctx context.Context, call *stats.RPCTagInfo) context.Context {
	if call.FullMethodName != check || !g.all && !g.decided(metadata.ValueFromIncomingContext(ctx, "traceparent")) {
		return ctx
	}
	return g.Handler.TagRPC(ctx, call)
}

// decided reports whether a call may be traced, by its header
// 00-TRACE-SPAN-FLAGS (W3C Trace Context), whose last digit is odd where the
// caller traces. What else may be wrong with it, OpenTelemetry finds.
func (g gate) decided(header []string) bool {
	const flags = len("00-00000000000000000000000000000000-0000000000000000-0")
	if len(header) == 0 || len(header[0]) <= flags {
		return g.roots
	}
	return strings.IndexByte("13579bdfBDF", header[0][flags]) >= 0 || g.roots
}

// HandleRPC implements stats.Handler.
func (g gate) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if trace.SpanContextFromContext(ctx).IsSampled() {
		g.Handler.HandleRPC(ctx, s)
	}
}
