package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/authz"
	"github.com/latchkey/latchkey/internal/oracle"
	"github.com/latchkey/latchkey/policy"
)

// TestExplainAgreesWithCheck puts the same random requests to both: reason,
// status and what the upstream is told must be the same, and the steps must
// end with what decided.
func TestExplainAgreesWithCheck(t *testing.T) {
	f := newFixture(t)
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("LATCHKEY_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("LATCHKEY_SEED=%d", seed)
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1)), w: f.oracle}
	seen, differences := map[string]int{}, 0
	for range executions(t, 100_000) {
		r := g.request()
		if r.RawPath == nil { // an explanation always knows the very bytes
			r.RawPath = &r.Path
		}
		got := f.ask(t, r)
		e := authz.Explain(f.view, question(r), f.oracle.Now)
		if diff := compareExplanation(got, e); diff != "" {
			t.Errorf("%s\n\trequest %+v, path %q", diff, r, *r.RawPath)
			if differences++; differences > 20 {
				t.Fatal("too many differences")
			}
		}
		seen[got.reason]++
	}
	t.Logf("reasons %v", seen)
	if len(seen) < 15 {
		t.Errorf("only %d reasons: the generator has grown blind", len(seen))
	}
}

func question(r oracle.Request) authz.Question {
	q := authz.Question{Method: r.Method, Host: r.Host, Path: *r.RawPath, Extensions: r.Extensions}
	for _, h := range r.Headers {
		q.Headers = append(q.Headers, policy.Header{Name: h.Name, Value: h.Value})
	}
	return q
}

func compareExplanation(got answer, e authz.Explanation) string {
	if got.reason != e.Verdict.Reason.String() || got.status != e.Status {
		return fmt.Sprintf("Check says %s (%d), Explain says %s (%d)", got.reason, got.status, e.Verdict.Reason, e.Status)
	}
	if allowed := e.Verdict.Reason.Allows(); allowed != (e.Identity != nil) || allowed && !maps.Equal(got.set, e.Identity) {
		return fmt.Sprintf("Check sets %v, Explain sets %v", got.set, e.Identity)
	}
	for i, s := range e.Steps {
		if last := i == len(e.Steps)-1; s.Passed != (!last || e.Verdict.Reason.Allows()) || s.Check == "" {
			return fmt.Sprintf("step %d of %+v has passed: %v", i, e.Steps, s.Passed)
		}
	}
	if len(e.Steps) == 0 || !e.Verdict.Reason.Allows() && !strings.HasPrefix(e.Steps[len(e.Steps)-1].Detail, got.reason) {
		return fmt.Sprintf("%s is explained by %+v", got.reason, e.Steps)
	}
	if (got.reason == "SCOPE_MISSING" || got.reason == "PERMISSION_MISSING") != (len(e.Missing) > 0) && passedTheType(e) {
		return fmt.Sprintf("%s, missing %v", got.reason, e.Missing)
	}
	return ""
}

// passedTheType reports whether the decision came as far as scopes.
func passedTheType(e authz.Explanation) bool {
	for _, s := range e.Steps {
		if s.Check == "key type" {
			return s.Passed
		}
	}
	return false
}
