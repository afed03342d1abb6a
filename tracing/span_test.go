package tracing

import (
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/latchkey/latchkey/authz"
	"github.com/latchkey/latchkey/policy"
)

// TestAnOutageIsAnError, and a refusal isn't. Each has its reason and the revision.
func TestAnOutageIsAnError(t *testing.T) {
	for _, reason := range append(policy.Reasons(), policy.Undecided) {
		spans := tracetest.NewSpanRecorder()
		tracer := &Tracer{provider: sdk.NewTracerProvider(sdk.WithSpanProcessor(spans))}
		ctx, span := tracer.provider.Tracer("").Start(t.Context(), "check")
		tracer.Observe(ctx, &authz.Observation{Verdict: &authz.Verdict{Reason: reason, Revision: 7}, Status: 200})
		span.End()
		got := spans.Ended()[0]
		if (got.Status().Code == codes.Error) != (reason.Status() == 503) {
			t.Errorf("%s: the status is %v", reason, got.Status())
		}
		told := map[string]string{}
		for _, a := range got.Attributes() {
			told[string(a.Key)] = a.Value.String()
		}
		decision := map[bool]string{true: "allow", false: "deny"}[reason.Allows()]
		if told["latchkey.reason"] != reason.String() || told["latchkey.decision"] != decision || told["latchkey.revision"] != "7" || len(told) != 4 {
			t.Errorf("%s: it has %v", reason, told)
		}
	}
}
