package admin

import (
	"context"
)

// Caller is who asks.
type Caller struct {
	// Operator is the operating identity. It is recorded with every write.
	Operator string
	// Acting is the principal on whose behalf it is done; empty for the operator.
	Acting string
}

type operatorKey struct{}

// WithOperator returns a context for requests of an operating identity, such
// as "uid:0". Whoever calls it vouches for the identity. An empty one is none.
func WithOperator(ctx context.Context, operator string) context.Context {
	return context.WithValue(ctx, operatorKey{}, operator)
}

// callerOf returns who asks. A request of nobody is refused.
func callerOf(ctx context.Context, acting string) (Caller, error) {
	operator, _ := ctx.Value(operatorKey{}).(string)
	if operator == "" {
		return Caller{}, refused("nobody answers for this connection: call through the unix socket as its owner or as root, or with a client certificate")
	}
	return Caller{Operator: operator, Acting: acting}, nil
}
