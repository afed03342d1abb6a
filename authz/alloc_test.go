package authz

import "testing"

// TestACheckAllocatesNothing, from bytes to bytes, whatever its outcome. The
// exchange isn't of the pool, which the race detector makes forgetful.
func TestACheckAllocatesNothing(t *testing.T) {
	for _, c := range benches(t) {
		x := exchanges.New().(*exchange)
		if n := testing.AllocsPerRun(100, func() {
			x.message = append(x.message, c.message...)
			if err := c.server.check(t.Context(), x); err != nil {
				t.Fatal(err)
			}
			x.reset()
		}); n != 0 {
			t.Errorf("%s: %v allocations", c.reason, n)
		}
	}
}
