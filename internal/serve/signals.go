package serve

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// UntilSignal returns a context that the first SIGINT or SIGTERM ends. Another one ends the process at once, as it does one that
// takes neither, and from before the context ends on: who is told that the process is stopping can't be too early with it.
func UntilSignal(parent context.Context) (ctx context.Context, stop func()) {
	came, forget := signal.NotifyContext(parent, os.Interrupt, syscall.SIGTERM)
	ctx, end := context.WithCancelCause(parent)
	context.AfterFunc(came, func() {
		why := context.Cause(came)
		forget()
		end(why)
	})
	return ctx, forget
}
