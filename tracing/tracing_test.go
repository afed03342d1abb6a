package tracing

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/latchkey/latchkey/authz"
	"github.com/latchkey/latchkey/policy"
	configv1 "github.com/latchkey/latchkey/proto/latchkey/config/v1"
)

// TestWhoSaysWhatIsTraced: where Envoy has decided, that holds; else the configuration, else the environment, else nothing is.
func TestWhoSaysWhatIsTraced(t *testing.T) {
	ratio := func(r float64) *float64 { return &r }
	for name, c := range map[string]struct {
		ratio   *float64
		env     string
		parent  string // sampled, unsampled or none
		sampled bool
	}{
		"nothing is said":                     {nil, "", "none", false},
		"Envoy traces":                        {nil, "", "sampled", true},
		"Envoy doesn't":                       {ratio(1), "", "unsampled", false},
		"Envoy does, and we wouldn't":         {ratio(0), "", "sampled", true},
		"all":                                 {ratio(1), "", "none", true},
		"none":                                {ratio(0), "always_on", "none", false},
		"the environment":                     {nil, "always_on", "none", true},
		"the environment says not to, of all": {nil, "always_off", "sampled", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("OTEL_TRACES_SAMPLER", c.env)
			tracer, err := New(t.Context(), Options{Ratio: c.ratio, Insecure: true}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = tracer.provider.Shutdown(t.Context()) }()
			ctx := t.Context()
			if c.parent != "none" {
				of := trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, Remote: true}
				if c.parent == "sampled" {
					of.TraceFlags = trace.FlagsSampled
				}
				ctx = trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(of))
			}
			_, span := tracer.provider.Tracer("").Start(ctx, "check")
			if span.IsRecording() != c.sampled {
				t.Errorf("it is traced: %t", span.IsRecording())
			}
		})
	}
}

// TestWhatIsntTracedAllocatesNothing in the check.
func TestWhatIsntTracedAllocatesNothing(t *testing.T) {
	tracer := &Tracer{provider: sdk.NewTracerProvider(sdk.WithSampler(sdk.NeverSample()))}
	ctx, span := tracer.provider.Tracer("").Start(t.Context(), "check")
	defer span.End()
	o := &authz.Observation{Verdict: &authz.Verdict{Reason: policy.KeyMissing}}
	if n := testing.AllocsPerRun(100, func() { tracer.Observe(ctx, o) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestConfigured(t *testing.T) {
	more, less := 1.5, -0.5
	for _, c := range []struct {
		read  *configv1.Tracing
		wrong string
	}{
		{nil, ""},
		{&configv1.Tracing{}, ""},
		{&configv1.Tracing{Endpoint: "otel.example:4317"}, ""},
		{&configv1.Tracing{Endpoint: "unix:/run/otel.sock"}, ""},
		{&configv1.Tracing{Endpoint: "https://otel.example"}, "tracing.endpoint"},
		{&configv1.Tracing{SampleRatio: &more}, "from 0 to 1"},
		{&configv1.Tracing{SampleRatio: &less}, "from 0 to 1"},
	} {
		got, err := Configured(c.read)
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) || (got == nil) != (c.read == nil || c.wrong != "") {
			t.Errorf("%v: %v, %v", c.read, got, err)
		}
	}
}

func TestMetricsOfSpans(t *testing.T) {
	tracer, err := New(t.Context(), Options{Insecure: true}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tracer.provider.Shutdown(t.Context()) }()
	r := prometheus.NewRegistry()
	r.MustRegister(tracer.Collectors()...)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}
