package authz

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/key"
)

// seen is what an observer copied of an observation.
type seen struct {
	reason, method, id, key string
	status                  int
	secret                  key.Digest
	secretKnown             bool
}

type observer struct{ all []seen }

func (o *observer) Observe(_ context.Context, one *Observation) {
	s := seen{reason: one.Verdict.Reason.String(), method: strings.Clone(one.Method()), id: strings.Clone(one.RequestID()), status: one.Status}
	s.secret, s.secretKnown = one.Secret()
	if one.Verdict.Key != nil {
		s.key = one.Verdict.Key.ID.String()
	}
	o.all = append(o.all, s)
}

// TestObserversSeeWhatIsAnswered: the id that the client is told, the status, and which secret was presented.
func TestObserversSeeWhatIsAnswered(t *testing.T) {
	w := newWorld(t)
	o := &observer{}
	s := NewServer(Options{Source: w.view, Now: func() time.Time { return noon }, Observers: []Observer{o}})
	for _, check := range []string{"key_full", "key_guest"} {
		if _, err := s.Check(t.Context(), envoy(mapped, "GET", "/things", bearer(check), "x-request-id: r-1")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Check(t.Context(), envoy(mapped, "GET", "/nowhere", bearer("key_full"), "x-request-id: r-2")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Check(t.Context(), envoy(mapped, "GET", "/things")); err != nil {
		t.Fatal(err)
	}
	want := []seen{
		{reason: "ALLOWED", method: "GET", id: "r-1", key: "key_full", status: 200, secret: key.NewToken(tokens["key_full"]).Digest(), secretKnown: true},
		{reason: "ALLOWED", method: "GET", id: "r-1", key: "key_guest", status: 200, secret: key.NewToken(tokens["key_guest"]).Digest(), secretKnown: true},
		{reason: "ENDPOINT_UNKNOWN", method: "GET", id: "r-2", key: "key_full", status: 403, secret: key.NewToken(tokens["key_full"]).Digest(), secretKnown: true},
		{reason: "KEY_MISSING", method: "GET", status: 401},
	}
	if len(o.all) != len(want) {
		t.Fatalf("%d checks were observed, want %d", len(o.all), len(want))
	}
	for i, got := range o.all {
		if i == 3 {
			if got.id == "" {
				t.Error("a refusal without an id of its own isn't known by any")
			}
			got.id = ""
		}
		if got != want[i] {
			t.Errorf("check %d: %+v, want %+v", i, got, want[i])
		}
	}
}
