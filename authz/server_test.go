package authz

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
)

// gather returns the server's metrics by name and labels, `name{a,b}`.
func gather(t *testing.T, s *Server) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(s.Collectors()...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("the metrics are named unlike others: %v %v", problems, err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			all[f.GetName()+"{"+strings.Join(labels, ",")+"}"] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return all
}

// TestAPanicIsAnInternalError: it is counted, its place is logged, and
// nothing of the request is told to anybody.
func TestAPanicIsAnInternalError(t *testing.T) {
	w := newWorld(t)
	var log bytes.Buffer
	s := NewServer(Options{
		Log:    slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Source: func() View { panic("the request was " + tokens["key_full"]) },
	})
	got, err := s.Check(context.Background(), get("/things?secret-path", bearer("key_full"), "x-secret: header"))
	if got != nil || status.Code(err) != codes.Internal {
		t.Errorf("answered with %v, %v", got, err)
	}
	text := log.String()
	for _, secret := range []string{tokens["key_full"], "secret-path", "x-secret", "header", "the request was"} {
		if strings.Contains(text, secret) || strings.Contains(err.Error(), secret) {
			t.Errorf("%q is told: %v, %s", secret, err, text)
		}
	}
	if !strings.Contains(text, "check panicked") || !strings.Contains(text, "server_test.go") {
		t.Errorf("the log doesn't say where: %s", text)
	}
	if m := gather(t, s); m["latchkey_check_failures_total{}"] != 1 {
		t.Errorf("metrics are %v", m)
	}
	// The next one is answered as if nothing had been.
	s.source = w.view
	if got, err := s.Check(context.Background(), get("/things", bearer("key_full"))); err != nil || readAnswer(t, got).reason != "ALLOWED" {
		t.Errorf("after a panic: %v, %v", got, err)
	}
}

// TestDefaults: without a clock and a log of its own a server takes the usual ones.
func TestDefaults(t *testing.T) {
	w := newWorld(t)
	w.keys["key_full"].Expires = time.Now().Add(time.Hour)
	w.keys["key_none"].Expires = time.Now().Add(-time.Nanosecond)
	s := NewServer(Options{Source: w.view})
	for id, want := range map[string]string{"key_full": "ALLOWED", "key_none": "KEY_EXPIRED"} {
		got, err := s.Check(context.Background(), get("/things", bearer(id)))
		if err != nil || readAnswer(t, got).reason != want {
			t.Errorf("%s: %v, %v", id, got, err)
		}
	}
}

// TestMetrics counts one check of each reason.
func TestMetrics(t *testing.T) {
	w := newWorld(t)
	s := NewServer(Options{Source: w.view, Now: func() time.Time { return noon }})
	for _, c := range []struct {
		target string
		header string
	}{
		{"/things", bearer("key_full")},
		{"/things", bearer("key_full")},
		{"/nothing", bearer("key_full")},
		{"/status", "x: y"},
		{"/things", "x: y"},
		{"/things", "host: other.example"},
	} {
		if _, err := s.Check(context.Background(), get(c.target, c.header)); err != nil {
			t.Fatal(err)
		}
	}
	m := gather(t, s)
	for name, want := range map[string]float64{
		"latchkey_checks_total{secret,acme,ALLOWED}":          2,
		"latchkey_checks_total{secret,acme,ENDPOINT_UNKNOWN}": 1,
		"latchkey_checks_total{,acme,PUBLIC}":                 1,
		"latchkey_checks_total{,acme,KEY_MISSING}":            1,
		"latchkey_checks_total{,,HOST_UNKNOWN}":               1,
		"latchkey_check_duration_seconds{}":                   6,
		"latchkey_check_failures_total{}":                     0,
	} {
		if got, ok := m[name]; !ok || got != want {
			t.Errorf("%s is %v, want %v; all: %v", name, got, want, m)
		}
	}
	// What can't be told is counted as it was answered.
	w.keys["key_full"].Role = "a\nb"
	if _, err := s.Check(context.Background(), get("/things", bearer("key_full"))); err != nil {
		t.Fatal(err)
	}
	if m := gather(t, s); m["latchkey_checks_total{,acme,UNDECIDED}"] != 1 || m["latchkey_checks_total{secret,acme,ALLOWED}"] != 2 {
		t.Errorf("metrics are %v", m)
	}
}

// TestNothingOfAClient gets into a label or a log, whatever it sends where.
func TestNothingOfAClient(t *testing.T) {
	w := newWorld(t)
	var log bytes.Buffer
	s := NewServer(Options{
		Source: w.view, Now: func() time.Time { return noon },
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	random := rand.New(rand.NewPCG(1, 2))
	var planted []string
	for i := range 1000 {
		secret := make([]byte, 31)
		for j := range secret {
			secret[j] = filler[random.IntN(len(filler))]
		}
		prefix := []string{"sk_live_0", "uk_test_1", "mk_live_2", "zz_live_3"}[i%4]
		token := prefix + string(secret)
		planted = append(planted, string(secret))
		if i%3 == 0 { // every third one is somebody's
			setToken(w.keys["key_full"], token)
		}
		method, target, host := "GET", "/things", "api.acme.example"
		headers := []string{"authorization: Bearer " + token}
		switch i / 3 % 10 {
		case 1:
			target = "/things/" + token
		case 2:
			target = "/things?key=" + token
		case 3:
			headers = append(headers, "x-team-id: "+token)
		case 4:
			headers = append(headers, "x-request-id: "+token, "x-latchkey-key-id: "+token, "cookie: "+token, token+": x")
		case 5:
			host = token
		case 6:
			method = token
		case 7:
			headers = []string{"authorization: " + token, "x-api-key: " + token + " "}
		case 8:
			target = "/teams/" + token
		case 9:
			headers = append(headers, "authorization: Bearer "+token)
		}
		check := envoy(form(i%2 == 0), method, target, append(headers, "host: "+host)...)
		check.GetAttributes().ContextExtensions = map[string]string{"x": token}
		if _, err := s.Check(context.Background(), check); err != nil {
			t.Fatal(err)
		}
	}
	text := log.String()
	if n := strings.Count(text, "msg=check"); n != 1000 {
		t.Fatalf("%d lines of 1000 checks", n)
	}
	allowed := 0
	for name, n := range gather(t, s) {
		if strings.Contains(name, "ALLOWED") {
			allowed += int(n)
		}
		labels, ok := strings.CutPrefix(name, "latchkey_checks_total{")
		if !ok {
			continue
		}
		list := strings.Split(strings.TrimSuffix(labels, "}"), ",")
		if named := func(r policy.Reason) bool { return r.String() == list[2] }; !slices.ContainsFunc(policy.Reasons(), named) || list[0] != "" && w.acme().Type(list[0]) == nil || list[1] != "" && w.policies.Get(list[1]) == nil {
			t.Errorf("the labels %q are not ours", labels)
		}
	}
	if allowed < 100 {
		t.Errorf("%d of the planted tokens open something: the test has grown blind", allowed)
	}
	for _, secret := range planted {
		if strings.Contains(text, secret) {
			t.Fatalf("a token is in the log: …%s", secret)
		}
	}
}

// TestOneRevision: checks run beside a writer, and none mixes what was before
// a change with what comes after it.
func TestOneRevision(t *testing.T) {
	// In even revisions the key is good and its team on the plan "even"; in odd
	// ones it holds nothing, and the team is on the plan "odd".
	views := make([]View, 2)
	for i, plan := range []string{"even", "odd"} {
		w := newWorld(t)
		w.tenants["team:t_1"].Plan = plan
		if i == 1 {
			w.keys["key_full"].Scopes = nil
		}
		views[i] = w.view()
		views[i].Keys = frozen{w}
	}
	var now atomic.Pointer[View]
	publish := func(revision uint64) {
		v := views[revision%2]
		v.Revision = revision
		now.Store(&v)
	}
	publish(2)
	s := NewServer(Options{Source: func() View { return *now.Load() }, Now: func() time.Time { return noon }})
	var readers, writer sync.WaitGroup
	done := make(chan struct{})
	writer.Go(func() {
		for revision := uint64(3); ; revision++ {
			select {
			case <-done:
				return
			default:
				publish(revision)
			}
		}
	})
	for range 4 {
		readers.Go(func() {
			for range 500 {
				got, err := s.Check(context.Background(), get("/things", bearer("key_full")))
				if err != nil {
					t.Error(err)
					return
				}
				a := readAnswer(t, got)
				revision := uint64(a.metadata["revision"].(float64))
				want := []string{"ALLOWED even", "SCOPE_MISSING odd"}[revision%2]
				if got := fmt.Sprint(a.reason, " ", a.metadata["plan"]); got != want {
					t.Errorf("revision %d: %s, want %s", revision, got, want)
					return
				}
			}
		})
	}
	readers.Wait()
	close(done)
	writer.Wait()
}

// frozen is a world that doesn't count, so that many may read it.
type frozen struct{ w *world }

func (f frozen) Lookup(d key.Digest, to *key.Facts) bool {
	for _, r := range f.w.keys {
		if f, ok := r.FactsOf(d); ok {
			*to = *f
			return true
		}
	}
	return false
}
