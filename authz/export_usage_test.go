package authz

import (
	"testing"

	"github.com/latchkey/latchkey/policy"
)

// AllowedCheck returns what makes one whole check that is allowed, from bytes to bytes, by a server with observers.
func AllowedCheck(tb testing.TB, observers ...Observer) func() error {
	for _, c := range benches(tb) {
		if c.reason == policy.Allowed {
			c.server.observers = observers
			// Not of the pool, which the race detector makes forgetful.
			x := exchanges.New().(*exchange)
			return func() error {
				x.message = append(x.message, c.message...)
				defer x.reset()
				return c.server.check(tb.Context(), x)
			}
		}
	}
	tb.Fatal("no check is allowed")
	return nil
}
