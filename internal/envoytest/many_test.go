package envoytest_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/latchkey/latchkey/internal/envoytest"
)

// testMany sends cases from several goroutines and finds each one's record again: what
// a whole table of requests against each profile needs.
func testMany(t *testing.T, w world) {
	const cases, workers = 400, 8
	var wg sync.WaitGroup
	for _, p := range profiles {
		for worker := range workers {
			wg.Go(func() {
				for i := worker; i < cases; i += workers {
					id, token, want := fmt.Sprintf("m-%s-%d", p, i), "allow", 200
					if i%2 == 1 {
						token, want = "403", 403
					}
					path := fmt.Sprintf("/v1/chat/%d", i)
					resp, err := envoytest.H1(t.Context(), w.addr(p), get(path, token, id))
					if err != nil || resp.Status != want {
						t.Errorf("%s: %+v, %v", id, resp, err)
					}
					recs := w.upstream.Take(id)
					if allowed := want == 200; len(recs) == 1 != allowed || allowed && recs[0].Path != path {
						t.Errorf("%s: upstream got %+v", id, recs)
					}
				}
			})
		}
	}
	wg.Wait()
}
