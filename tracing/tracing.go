// Package tracing makes a span of each check that is traced, and sends spans by
// OTLP over gRPC.
//
// Whether a check is traced is Envoy's to say: its call has the trace that the
// client's request belongs to, and the span becomes part of that. Spans wait in
// a queue of bounded length, and are lost when the receiver doesn't take them:
// no check waits for it. Nothing of the client's request is in a span.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/latchkey/latchkey/authz"
	"github.com/latchkey/latchkey/internal/serve"
)

// flushTime is how long spans that wait may take to be sent once the process
// stops.
const flushTime = 2 * time.Second

// Tracer makes spans of checks. It is safe for concurrent use.
type Tracer struct {
	provider *sdk.TracerProvider
	ratio    *float64 // nil: see sampler
	spans    *prometheus.CounterVec
	trouble  *slog.Logger
}

// New returns a tracer. The receiver needn't be there. What goes wrong with it
// is told to the log, every so often: OpenTelemetry has one place for that in a
// process, and this takes it.
func New(ctx context.Context, o Options, log *slog.Logger) (*Tracer, error) {
	t := &Tracer{
		ratio: o.Ratio,
		spans: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "latchkey_trace_spans_total", Help: "Spans of checks, by what became of them: sent, or lost because their receiver did not take them.",
		}, []string{"result"}),
		trouble: serve.Seldom(log),
	}
	for _, result := range []string{sent, lost} {
		t.spans.WithLabelValues(result)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		t.trouble.Warn("spans can't be sent: requests are decided all the same", "error", err)
	}))
	otel.SetLogger(logr.FromSlogHandler(serve.Seldom(log).Handler()))
	exporter, err := otlptracegrpc.New(ctx, receiver(o)...)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	is, err := resource.New(ctx, resource.WithAttributes(
		attribute.String("service.name", o.Service), attribute.String("service.version", o.Version), attribute.String("service.instance.id", o.Instance),
	), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("tracing: OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	options := []sdk.TracerProviderOption{sdk.WithResource(is), sdk.WithBatcher(counting{exporter, t.spans})}
	t.provider = sdk.NewTracerProvider(append(options, sampler(o)...)...)
	return t, nil
}

// receiver returns where spans are sent, as far as the environment doesn't say it.
func receiver(o Options) (options []otlptracegrpc.Option) {
	if o.Endpoint != nil {
		options = append(options, otlptracegrpc.WithEndpoint(o.Endpoint.Target()))
	}
	if o.Insecure || o.Endpoint != nil && o.Endpoint.IsUnix() {
		options = append(options, otlptracegrpc.WithInsecure())
	}
	return options
}

// sampler returns which checks are traced that Envoy says nothing of, as far as
// the environment doesn't say it.
func sampler(o Options) []sdk.TracerProviderOption {
	root := sdk.NeverSample()
	if o.Ratio != nil {
		root = sdk.TraceIDRatioBased(*o.Ratio)
	} else if environmentSamples() {
		return nil
	}
	return []sdk.TracerProviderOption{sdk.WithSampler(sdk.ParentBased(root))}
}

func environmentSamples() bool { return os.Getenv("OTEL_TRACES_SAMPLER") != "" }

// ServerOption makes a gRPC server begin and end a span for each check that is
// traced.
func (t *Tracer) ServerOption() grpc.ServerOption {
	return grpc.StatsHandler(gate{
		Handler: otelgrpc.NewServerHandler(
			otelgrpc.WithTracerProvider(t.provider), otelgrpc.WithMeterProvider(noop.NewMeterProvider()), otelgrpc.WithPropagators(parent{}),
		),
		roots: t.ratio != nil && *t.ratio > 0,
		all:   t.ratio == nil && environmentSamples(),
	})
}

// parent finds which trace a call belongs to, and leaves out its tracestate: Envoy hands on what the client wrote there.
type parent struct{ propagation.TraceContext }

// Extract implements propagation.TextMapPropagator.
func (p parent) Extract(ctx context.Context, from propagation.TextMapCarrier) context.Context {
	ctx = p.TraceContext.Extract(ctx, from)
	if of := trace.SpanContextFromContext(ctx); of.IsRemote() {
		return trace.ContextWithRemoteSpanContext(ctx, of.WithTraceState(trace.TraceState{}))
	}
	return ctx
}

// check is the call that has spans: health checks have none.
const check = "/" + authz.ServiceName + "/Check"

// Collectors returns the metrics of the tracer.
func (t *Tracer) Collectors() []prometheus.Collector { return []prometheus.Collector{t.spans} }

// Run waits until the context ends, and sends what is left.
func (t *Tracer) Run(ctx context.Context) error {
	<-ctx.Done()
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	if err := t.provider.Shutdown(limit); err != nil {
		t.trouble.Warn("the last spans can't be sent", "error", err)
	}
	return nil
}

// What becomes of spans.
const (
	sent = "sent"
	lost = "lost"
)

// counting counts what an exporter is given.
type counting struct {
	sdk.SpanExporter
	spans *prometheus.CounterVec
}

// ExportSpans implements sdk.SpanExporter.
func (c counting) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := c.SpanExporter.ExportSpans(ctx, spans)
	result := sent
	if err != nil {
		result = lost
	}
	c.spans.WithLabelValues(result).Add(float64(len(spans)))
	return err
}
