package tracing

import (
	"context"
	"log/slog"
	"net"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
)

// answering is a service whose calls tell whether they are traced.
type answering struct {
	authv3.UnimplementedAuthorizationServer
	recording bool
}

func (a *answering) Check(ctx context.Context, _ *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	a.recording = trace.SpanFromContext(ctx).IsRecording()
	return &authv3.CheckResponse{}, nil
}

// TestTheGateKeepsNothingBack that OpenTelemetry would trace by itself, and lets through whatever it would have to look at.
func TestTheGateKeepsNothingBack(t *testing.T) {
	const trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	ratio := func(r float64) *float64 { return &r }
	for name, c := range map[string]struct {
		ratio  *float64
		env    string
		header string
		traced bool
	}{
		"sampled":                        {nil, "", "00-" + trace + "-" + span + "-01", true},
		"sampled, with another flag":     {ratio(0), "", "00-" + trace + "-" + span + "-03", true},
		"not sampled":                    {ratio(1), "", "00-" + trace + "-" + span + "-00", false},
		"not sampled, with another flag": {nil, "", "00-" + trace + "-" + span + "-02", false},
		"nothing":                        {nil, "", "", false},
		"nothing, and all are":           {ratio(1), "", "", true},
		"nothing, and none is":           {ratio(0), "", "", false},
		"no trace":                       {nil, "", "00-" + trace[1:] + "-" + span + "-01", false},
		"no trace, and all are":          {ratio(1), "", "sampled", true},
		"of a later version":             {nil, "", "cc-" + trace + "-" + span + "-01-what", true},
		"by the environment":             {nil, "always_on", "00-" + trace + "-" + span + "-00", true},
		"never, by the environment":      {nil, "always_off", "00-" + trace + "-" + span + "-01", false},
		"the configuration has the word": {ratio(0), "always_on", "", false},
		"a span of nobody":               {nil, "", "00-00000000000000000000000000000000-" + span + "-01", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("OTEL_TRACES_SAMPLER", c.env)
			tracer, err := New(t.Context(), Options{Ratio: c.ratio, Insecure: true}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = tracer.provider.Shutdown(t.Context()) }) // which is over by then: nobody takes them
			spans := tracetest.NewSpanRecorder()
			tracer.provider.RegisterSpanProcessor(spans)
			service := &answering{}
			s := grpc.NewServer(tracer.ServerOption())
			authv3.RegisterAuthorizationServer(s, service)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan error)
			go func() { served <- s.Serve(l) }()
			conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			ctx := t.Context()
			if c.header != "" {
				ctx = metadata.AppendToOutgoingContext(ctx, "traceparent", c.header, "tracestate", "client=sk_live_anything")
			}
			_, err = authv3.NewAuthorizationClient(conn).Check(ctx, &authv3.CheckRequest{})
			if err != nil {
				t.Error(err)
			}
			_ = conn.Close()
			s.GracefulStop()
			if err := <-served; err != nil {
				t.Error(err)
			}
			for _, s := range spans.Ended() {
				if text := s.SpanContext().TraceState().String(); text != "" {
					t.Errorf("the client wrote %q, and it is in the span", text)
				}
			}
			if got := len(spans.Ended()); service.recording != c.traced || got == 1 != c.traced {
				t.Errorf("it is traced: %t, by %d spans", service.recording, got)
			}
		})
	}
}
