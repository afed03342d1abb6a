package e2e

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/prototext"

	"github.com/latchkey/latchkey/internal/envoytest"
	"github.com/latchkey/latchkey/internal/oracle"
)

// receiver is an OTLP receiver of spans.
type receiver struct {
	collector.UnimplementedTraceServiceServer
	address string

	mu    sync.Mutex
	spans []received
}

// received is a span, and of which service.
type received struct {
	service string
	*tracev1.Span
}

func startReceiver(t *testing.T) *receiver {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{address: l.Addr().String()}
	s := grpc.NewServer()
	collector.RegisterTraceServiceServer(s, r)
	served := make(chan error)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return r
}

// Export implements the service.
func (r *receiver) Export(_ context.Context, q *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, resource := range q.GetResourceSpans() {
		service := ""
		for _, a := range resource.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				r.spans = append(r.spans, received{service, span})
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

// of returns the spans of a trace so far, of one service.
func (r *receiver) of(service, trace string) (all []received) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.spans {
		if s.service == service && (trace == "" || hex.EncodeToString(s.GetTraceId()) == trace) {
			all = append(all, s)
		}
	}
	return all
}

// attributes of a span, as text.
func (s received) attributes() map[string]string {
	all := map[string]string{}
	for _, a := range s.GetAttributes() {
		value := a.GetValue().GetStringValue()
		if value == "" {
			value = fmt.Sprint(a.GetValue().GetIntValue())
		}
		all[a.GetKey()] = value
	}
	return all
}

// traced starts a server that sends its spans to an address, often.
func traced(t *testing.T, to, level, more string) *server {
	t.Helper()
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=checks,deployment.environment=e2e")
	dir := keptFolder(t, "the configuration")
	config := filepath.Join(dir, "serve.yaml")
	if err := os.WriteFile(config, []byte("tracing: {endpoint: '"+to+"', insecure: true"+more+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &server{data: filepath.Join(dir, "d"), http: freePort(t), level: level, flags: []string{"--config", config}}
	s.start(t, examplePolicies(t)...)
	return s
}

// TestOneTraceThroughEnvoyAndUs: the span of a check is a child of the one that Envoy makes of asking for it, in the trace of
// the client's request. It has the decision, and nothing of the request.
func TestOneTraceThroughEnvoyAndUs(t *testing.T) {
	r := startReceiver(t)
	s := traced(t, r.address, "debug", "")
	w := oracle.Fixture()
	s.load(t, w)
	up := envoytest.RunUpstream(t)
	envoy := envoytest.Run(t, envoytest.Config{
		AuthzSocket: s.socket(), Upstream: up.Addr(), CheckTimeout: checkTime, UnhealthyThreshold: unanswered, Traces: r.address,
		Listeners: []envoytest.Listener{{Profile: envoytest.Hardened}},
	})
	secret := slices.IndexFunc(w.Keys, func(k oracle.Key) bool {
		return k.Policy == "kodey" && k.Type == "secret" && !k.Revoked && !k.Disabled && k.Expires.IsZero()
	})
	if secret < 0 {
		t.Fatal("the fixture has no live secret key of kodey")
	}
	token := w.Keys[secret].Token
	ask := func(trace, sampled, token string) int {
		t.Helper()
		fields := []envoytest.Field{{Name: "Host", Value: "api.kodey.example"}, {Name: "Authorization", Value: "Bearer " + token}, {Name: "Connection", Value: "close"}}
		if trace != "" {
			fields = append(fields, envoytest.Field{Name: "traceparent", Value: "00-" + trace + "-00f067aa0ba902b7-" + sampled})
		}
		resp, err := envoytest.H1(t.Context(), envoy.Addr(string(envoytest.Hardened)), envoytest.Request("GET", "/v1/agents?"+token, fields, nil))
		if err != nil {
			t.Fatal(err)
		}
		return resp.Status
	}
	const allowed, denied, unsampled = "4bf92f3577b34da6a3ce929d0e0e4736", "5bf92f3577b34da6a3ce929d0e0e4736", "6bf92f3577b34da6a3ce929d0e0e4736"
	eventually(t, "Envoy reaches latchkey", func() error {
		if status := ask(allowed, "01", token); status != 200 {
			return fmt.Errorf("answered %d", status)
		}
		return nil
	})
	if status := ask(unsampled, "00", token); status != 200 {
		t.Errorf("a request that isn't traced is answered %d", status)
	}
	if status := ask(denied, "01", "sk_live_"+strings.Repeat("a", 30)); status != 401 {
		t.Errorf("an unknown key is answered %d", status)
	}
	for trace, want := range map[string]map[string]string{
		allowed: {"latchkey.decision": "allow", "latchkey.reason": "ALLOWED", "latchkey.key_id": w.Keys[secret].ID, "latchkey.key_type": "secret", "latchkey.status": "200"},
		denied:  {"latchkey.decision": "deny", "latchkey.reason": "KEY_UNKNOWN", "latchkey.status": "401"},
	} {
		want["latchkey.policy"], want["latchkey.endpoint"] = "kodey", "Agent Operations"
		eventually(t, "the trace "+trace+" is there", func() error {
			ours, envoys := r.of("checks", trace), r.of("envoy", trace)
			if len(ours) == 0 || len(envoys) == 0 {
				return fmt.Errorf("%d spans of ours, %d of Envoy's", len(ours), len(envoys))
			}
			one := ours[len(ours)-1]
			if !slices.ContainsFunc(envoys, func(s received) bool {
				return string(s.GetSpanId()) == string(one.GetParentSpanId()) && s.GetKind() == tracev1.Span_SPAN_KIND_CLIENT
			}) {
				return fmt.Errorf("none of Envoy's %d spans is the parent of %s", len(envoys), one.GetName())
			}
			got := one.attributes()
			for name, value := range want {
				if got[name] != value {
					t.Errorf("%s: %s is %q, want %q", trace, name, got[name], value)
				}
			}
			return nil
		})
	}
	// All that was sent is there, at the end.
	s.stop()
	if extra := r.of("checks", unsampled); len(extra) > 0 {
		t.Errorf("Envoy says not to trace, and there is %v", extra)
	}
	for _, span := range r.of("checks", "") {
		text := prototext.Format(span.Span)
		if strings.Contains(text, token[8:]) || strings.Contains(text, "/v1/agents") {
			t.Errorf("a span has what the client wrote: %s", text)
		}
		if trace := hex.EncodeToString(span.GetTraceId()); trace != allowed && trace != denied {
			t.Errorf("there is a span of a trace that nobody began: %s", text)
		}
	}
	one := r.of("checks", allowed)[0]
	t.Logf("trace %s: Envoy's spans %v, ours %q", allowed, names(r.of("envoy", allowed)), one.GetName())
}

func names(spans []received) (all []string) {
	for _, s := range spans {
		all = append(all, fmt.Sprintf("%s (%s)", s.GetName(), s.GetKind()))
	}
	return all
}

// TestAReceiverThatIsGone holds up no check, and the end of the process for a moment at most. One that comes up again gets
// spans again. What is lost is counted.
func TestAReceiverThatIsGone(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "200")
	s := traced(t, silent.Addr().String(), "info", ", sample_ratio: 1")
	check := s.dialCheck(t)
	const checks = 5000 // more than twice what the queue holds
	for i := range checks {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if _, err := check.Check(ctx, checkRequest(oracle.Request{Method: "GET", Host: "api.kodey.example", Path: "/v1/agents"})); err != nil {
			t.Fatalf("check %d: %v", i, err)
		}
		cancel()
	}
	eventually(t, "lost spans are counted", func() error {
		if !strings.Contains(s.metrics(t), `latchkey_trace_spans_total{result="lost"} `) || strings.Contains(s.metrics(t), `latchkey_trace_spans_total{result="lost"} 0`) {
			return fmt.Errorf("none is")
		}
		return nil
	})
	began := time.Now()
	s.stop()
	if took := time.Since(began); took > patience/2 {
		t.Errorf("the process ended after %s", took)
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(s.log.String(), "spans can't be sent") {
		t.Error("the log doesn't tell of it")
	}
}
