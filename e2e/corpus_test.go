package e2e

import (
	"fmt"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/latchkey/latchkey/e2e/corpus"
	"github.com/latchkey/latchkey/internal/envoytest"
	"github.com/latchkey/latchkey/internal/oracle"
)

// send sends one case and tells what happened. Requests of the corpus carry
// nothing by which they could be told apart, so a mesh sends one at a time.
func (m *mesh) send(t *testing.T, p corpus.Profile, c corpus.Case) corpus.Seen {
	addr := m.envoy.Addr(string(p))
	m.up.Take("")
	var resp envoytest.Response
	var err error
	switch {
	case c.Proto == "h2":
		fields := make([]envoytest.Field, len(c.H2))
		for i, h := range c.H2 {
			fields[i] = envoytest.Field{Name: h.Name, Value: h.Value}
		}
		resp, err = envoytest.H2(t.Context(), addr, fields, nil)
	case c.Pipelined():
		// What follows the first request is answered, or the connection ends.
		var all []envoytest.Response
		all, err = envoytest.H1Each(t.Context(), addr, c.Raw, 2)
		resp = all[0]
	default:
		resp, err = envoytest.H1(t.Context(), addr, c.Raw)
	}
	if err != nil {
		t.Errorf("%s/%s %s: %v", c.Class, c.Name, p, err)
	}
	seen := corpus.Seen{Status: resp.Status, GRPCStatus: resp.Header.Get("grpc-status"), ConnClosed: resp.Ending != envoytest.Answered}
	if seen.GRPCStatus == "" {
		seen.GRPCStatus = resp.Trailer.Get("grpc-status")
	}
	for i, r := range m.up.Take("") {
		u := corpus.Upstream{Method: r.Method, Path: r.Path, Host: r.Host}
		for _, h := range r.Header {
			if name := strings.ToLower(h.Name); name != "host" {
				u.Headers = append(u.Headers, oracle.Header{Name: name, Value: h.Value})
			}
		}
		if i == 0 {
			seen.Reached, seen.Upstream = true, u
		} else {
			seen.Also = append(seen.Also, u)
		}
	}
	return seen
}

// TestCorpus sends every crafted request through a real Envoy to a real
// server, in both profiles and by the configuration that the product prints,
// and lets the judge of the corpus decide, which knows the documents and
// nothing of the product.
func TestCorpus(t *testing.T) {
	w := oracle.Fixture()
	s := serve(t)
	s.load(t, w)
	cases := corpus.Cases(w)
	work := make(chan corpus.Case)
	var (
		lanes  sync.WaitGroup
		mu     sync.Mutex
		counts = map[string]int{}
	)
	for range 3 {
		m, printed := startMesh(t, s.socket()), startPrinted(t, s)
		ways := []struct {
			name string
			*mesh
			profile corpus.Profile
		}{
			{"plain", m, corpus.Plain}, {"hardened", m, corpus.Hardened}, {"printed", printed, corpus.Hardened},
		}
		lanes.Go(func() {
			for c := range work {
				for _, way := range ways {
					verdict, err := corpus.Judge(w, way.profile, c, way.send(t, way.profile, c))
					if err != nil {
						t.Errorf("%s/%s %s: %v", c.Class, c.Name, way.name, err)
						verdict = "WRONG"
					}
					mu.Lock()
					counts[fmt.Sprintf("%-14s %s", c.Class, verdict)]++
					mu.Unlock()
				}
			}
		})
	}
	for _, c := range cases {
		work <- c
	}
	close(work)
	lanes.Wait()
	lines := make([]string, 0, len(counts))
	for k, n := range counts {
		lines = append(lines, fmt.Sprintf("%s %d", k, n))
	}
	sort.Strings(lines)
	t.Logf("%d cases in %d profiles and by what `latchkey envoy config` prints\n%s", len(cases), len(corpus.Profiles), strings.Join(lines, "\n"))
}
