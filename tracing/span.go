package tracing

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/latchkey/latchkey/authz"
)

// Observe implements authz.Observer: what was decided becomes attributes of the
// span. All are names of policy and store, and none is the client's text.
func (t *Tracer) Observe(ctx context.Context, o *authz.Observation) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return // and so nothing is allocated
	}
	v := o.Verdict
	decision := "deny"
	if v.Reason.Allows() {
		decision = "allow"
	}
	attributes := append(make([]attribute.KeyValue, 0, 8),
		attribute.String("latchkey.decision", decision),
		attribute.String("latchkey.reason", v.Reason.String()),
		attribute.Int("latchkey.status", o.Status),
		attribute.Int64("latchkey.revision", int64(v.Revision)),
	)
	if v.Place.Policy != nil {
		attributes = append(attributes, attribute.String("latchkey.policy", v.Place.Policy.Name()))
	}
	if e := v.Endpoint(); e != nil {
		attributes = append(attributes, attribute.String("latchkey.endpoint", e.Name))
	}
	if v.Key != nil {
		attributes = append(attributes, attribute.String("latchkey.key_id", v.Key.ID.String()), attribute.String("latchkey.key_type", v.Type.Name))
	}
	span.SetAttributes(attributes...)
	if v.Reason.Status() == 503 {
		span.SetStatus(codes.Error, v.Reason.String())
	}
}
