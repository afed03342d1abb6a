package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/internal/envoytest"
	"github.com/latchkey/latchkey/internal/oracle"
)

// decisions are the lines of a decision log.
func decisions(t *testing.T, path string) (all []map[string]any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var one map[string]any
		if err := json.Unmarshal([]byte(line), &one); err != nil || !strings.HasSuffix(line, "\n") {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, one)
	}
	return all
}

// metric is the value of a metric without labels.
func (s *server) metric(t *testing.T, name string) float64 {
	t.Helper()
	found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(s.metrics(t))
	if found == nil {
		t.Fatalf("there is no metric %s", name)
	}
	value, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// TestDecisionsThroughEnvoy: the answer that a client gets, the line of Envoy's log and that of the decision log say the same of
// one request, and have one id.
func TestDecisionsThroughEnvoy(t *testing.T) {
	dir := keptFolder(t, "the decision log")
	path := filepath.Join(dir, "decisions.ndjson")
	s := &server{data: filepath.Join(dir, "d"), http: freePort(t), level: "info", flags: []string{"--decision-log", path}}
	s.start(t, examplePolicies(t)...)
	m := startMesh(t, s.socket())
	answers := map[string]int{}
	for i, profile := range []envoytest.Profile{envoytest.Plain, envoytest.Hardened, envoytest.Hardened} {
		id := fmt.Sprintf("5e47cb98-8712-4673-ab99-a716e6ec66a%d", i)
		resp, err := envoytest.H1(t.Context(), m.envoy.Addr(string(profile)), envoytest.Request("GET", "/v1/content", []envoytest.Field{
			{Name: "Host", Value: "api.shortkit.dev"}, {Name: "x-request-id", Value: id}, {Name: "Connection", Value: "close"},
		}, nil))
		if err != nil {
			t.Fatal(err)
		}
		var body struct{ Meta struct{ RequestID string } }
		if err := json.Unmarshal(resp.Body, &body); err != nil {
			t.Fatalf("%q: %v", resp.Body, err)
		}
		answers[body.Meta.RequestID] = resp.Status
	}
	s.stop()
	found := 0
	for _, one := range decisions(t, path) {
		id, _ := one["request_id"].(string)
		status, asked := answers[id]
		if !asked {
			continue // of the mesh's start
		}
		found++
		if one["status"] != float64(status) || one["reason"] != "KEY_MISSING" || one["endpoint"] == nil {
			t.Errorf("the client was answered %d, and the log has %v", status, one)
		}
	}
	if found != len(answers) {
		t.Errorf("%d of %d requests are in the log", found, len(answers))
	}
}

// TestNobodyReadsTheDecisionLog: standard output is a pipe that takes nothing, and then one whose reader has gone. Checks go on,
// what is missing is counted to the last line, and the process ends in good order.
func TestNobodyReadsTheDecisionLog(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	dir := keptFolder(t, "the store")
	s := &server{data: filepath.Join(dir, "d"), http: freePort(t), level: "info", flags: []string{"--decision-log", "stdout"}, stdout: w}
	s.start(t, examplePolicies(t)...)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	check, asked := s.dialCheck(t), 0
	flood := func(until func() bool) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for !until() {
			errs := make(chan error, 32)
			for range cap(errs) {
				go func() {
					var err error
					for range 100 {
						if _, one := check.Check(ctx, checkRequest(oracle.Request{Method: "GET", Host: "api.kodey.example", Path: "/v1/agents"})); one != nil {
							err = one
						}
					}
					errs <- err
				}()
			}
			for range cap(errs) {
				if err := <-errs; err != nil {
					t.Fatal(err)
				}
			}
			asked += 100 * cap(errs)
		}
	}
	const name = "latchkey_decision_log_dropped_total"
	flood(func() bool { return s.metric(t, name) > 0 })
	t.Logf("of %d checks %v lines were dropped while nobody read", asked, s.metric(t, name))
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	before := s.metric(t, name)
	flood(func() bool { return s.metric(t, name) > before })
	eventually(t, "each line is counted", func() error {
		written, dropped := s.metric(t, "latchkey_decision_log_written_total"), s.metric(t, name)
		if written+dropped != float64(asked) {
			return fmt.Errorf("%v written and %v dropped, of %d", written, dropped, asked)
		}
		return nil
	})
	began := time.Now()
	s.stop()
	if code := s.cmd.ProcessState.ExitCode(); code != 0 || time.Since(began) > patience/2 {
		t.Errorf("exit code %d after %s", code, time.Since(began))
	}
}

// TestTokensStayOutOfDecisionsAndSpans plants tokens in every place of a request, with all that is allowed written down, and
// every check traced.
func TestTokensStayOutOfDecisionsAndSpans(t *testing.T) {
	r := startReceiver(t)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
	dir := keptFolder(t, "the decision log")
	path, config := filepath.Join(dir, "decisions.ndjson"), filepath.Join(dir, "serve.yaml")
	text := "decision_log: {output: file, path: decisions.ndjson, allow_sample: 1}\ntracing: {endpoint: '" + r.address + "', insecure: true, sample_ratio: 1}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &server{data: filepath.Join(dir, "d"), http: freePort(t), level: "info", flags: []string{"--config", config}}
	s.start(t, examplePolicies(t)...)
	w := oracle.Fixture()
	s.load(t, w)
	check, random := s.dialCheck(t), rand.New(rand.NewPCG(7, 7))
	var planted []string
	allowed, answered := 0, 0
	for i := range 1000 {
		k := w.Keys[i%len(w.Keys)]
		token := k.Token
		if i%3 == 0 {
			token = oracle.Mint(fmt.Sprint("planted ", i), k.Policy, k.Type, k.Environment)
		}
		planted = append(planted, token)
		host := map[string]string{"kodey": "api.kodey.example", "cuneiform": "api.cuneiform.example", "spotzee": "apix.spotzee.com", "shortkit": "api.shortkit.dev"}[k.Policy]
		q := oracle.Request{
			Method: pickOne(random, "GET", "GET", token), Host: pickOne(random, host, host, token+".example"), Path: pickOne(random, "/v1/"+token, "/v1/chat?key="+token, "/v1/chat", "/v1/feed"),
			Headers: []oracle.Header{{Name: "authorization", Value: "Bearer " + token}},
		}
		for _, name := range []string{"x-api-key", "x-team-id", "x-organization-id", "x-request-id", "traceparent", "x-latchkey-key-id", "cookie"} {
			if random.IntN(3) == 0 {
				q.Headers = append(q.Headers, oracle.Header{Name: name, Value: pickOne(random, token, "Bearer "+token, "00-"+token)})
			}
		}
		got, err := check.Check(t.Context(), checkRequest(q))
		if err != nil {
			continue
		}
		if answered++; got.GetStatus().GetCode() == 0 {
			allowed++
		}
	}
	s.stop()
	lines := decisions(t, path)
	spans := r.of("latchkey", "")
	if len(lines) != answered || allowed == 0 || len(spans) == 0 {
		t.Errorf("%d lines and %d spans of %d answers, of which %d allow", len(lines), len(spans), answered, allowed)
	}
	all, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	said := string(all)
	for _, span := range spans {
		said += span.String()
	}
	for _, token := range planted {
		if strings.Contains(said, token) {
			t.Errorf("a token is told (…%s)", token[len(token)-4:])
		}
	}
	t.Logf("%d answers, %d allow, %d lines, %d spans, %d bytes: no token", answered, allowed, len(lines), len(spans), len(said))
}
