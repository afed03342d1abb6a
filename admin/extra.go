package admin

import "context"

// Operator returns the operating identity of a request to a handler of
// Options.Extra, as the log of the store would have it. The guard lets nobody
// through without one.
func Operator(ctx context.Context) string {
	operator, _ := ctx.Value(operatorKey{}).(string)
	return operator
}

// Status returns an error of the store, or of this package, as it leaves the
// process: with the code that the API's own services give it. Nil stays nil.
func Status(err error) error { return status(err) }
