package main

import (
	"context"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
)

// clientCalls are the calls of a command, as far as it tells of one that wasn't answered. It is safe for concurrent use.
type clientCalls struct {
	changes atomic.Bool  // one of them may have changed something
	longest atomic.Int64 // how long the last of them was waited for at most, in nanoseconds
}

// writes reports whether a call with this question may change something: each that may can be tried without.
func writes(question any) bool {
	w, ok := question.(interface{ GetDryRun() bool })
	return ok && !w.GetDryRun()
}

// interceptor notes each call before it is made.
func (c *clientCalls) interceptor() connect.UnaryInterceptorFunc {
	return func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, q connect.AnyRequest) (connect.AnyResponse, error) {
			if writes(q.Any()) {
				c.changes.Store(true)
			}
			if end, ok := ctx.Deadline(); ok {
				c.longest.Store(int64(time.Until(end)))
			}
			return next(ctx, q)
		}
	}
}

// outcome is what may have come of calls that weren't answered.
func (c *clientCalls) outcome() string {
	if c.changes.Load() {
		return "what was asked for may have been done"
	}
	return "nothing was changed"
}

// waited is how long the last call was waited for.
func (c *clientCalls) waited() time.Duration {
	return time.Duration(c.longest.Load()).Round(time.Second / 10)
}
