package authz

import (
	"context"
	"time"

	"github.com/latchkey/latchkey/key"
)

// Observer is told of checks, each once its answer is made and before it is
// sent. It is called on the goroutine of the check: it neither blocks nor
// allocates. It must be safe for concurrent use, and keeps nothing of an
// observation: the text in it belongs to the check.
type Observer interface {
	Observe(context.Context, *Observation)
}

// Observation is a check that was answered. The credential is no part of it.
type Observation struct {
	Verdict *Verdict
	At      time.Time     // when it began
	Took    time.Duration // from the bytes of the question to those of the answer
	Status  int           // HTTP status of the answer; 200 where it allows

	decision *decision
}

// Secret is the digest of the token that was presented, by which the secrets
// of one key are told apart; false where no token was looked up.
func (o *Observation) Secret() (key.Digest, bool) {
	return o.decision.digest, o.decision.digest != key.Digest{}
}

// Method is that of the request, as the client wrote it.
func (o *Observation) Method() string { return o.decision.request.method }

// RequestID is the id by which the client and Envoy's log know the request;
// empty where an allowed request came without one.
func (o *Observation) RequestID() string {
	if o.Verdict.Reason.Allows() {
		return o.decision.request.givenID()
	}
	return o.decision.request.requestID()
}

// observe tells every observer.
func (s *Server) observe(ctx context.Context, x *exchange, start time.Time, took time.Duration) {
	if len(s.observers) == 0 {
		return
	}
	o := &x.observation
	*o = Observation{Verdict: &x.decision.Verdict, At: start, Took: took, Status: 200, decision: &x.decision}
	if !x.answer.allows {
		o.Status = x.answer.status
	}
	for _, one := range s.observers {
		one.Observe(ctx, o)
	}
}
