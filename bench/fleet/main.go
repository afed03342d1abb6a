// Command fleet measures what a hub and its replicas cost, and how soon a key that is revoked is dead at all of them.
//
// The hub is `latchkey serve` as it ships, in a process of its own, filled with the kodey example. Up to five of its
// replicas are real: `latchkey-sidecar` processes, each behind an Envoy through which requests go on all the time. As
// many stores of their own as a fleet has wouldn't fit on one machine, so the others are light: they live in this
// process, each with a connection of its own, speak the protocol to the byte (Hello, Applied, Ask), decode every entry
// and hold its revision against the one before, but keep no store.
//
// It has four parts, and runs them in turn:
//
//   - revokes: from the call of RevokeKey to its answer, to the last replica that refuses the key, and to a receipt
//     that is complete;
//   - cost: the hub's memory for a follower, its CPU time for a follower and write, and for a question;
//   - deltas: the same for writes of one key, of a hundred and of a thousand;
//   - fresh: how a new sidecar comes to answer, and one that has its file and no hub.
//
// CPU times are what the kernel accounts to the hub's process, so that the followers, which share the cores, don't
// blur them. Latencies they do blur: a fleet has processors of its own.
//
// `fleet fill` is the process that makes stores.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/latchkey/latchkey/bench/stock"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second one ends the process at once
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run runs one command and returns its exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	command := runFleet
	if len(args) > 0 && args[0] == "fill" {
		command, args = stock.RunFill, args[1:]
	}
	switch err := command(ctx, args, stdout, stderr); {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		return 2 // the flags have been shown
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "fleet: stopped")
		return 1
	default:
		fmt.Fprintln(stderr, "fleet:", err)
		return 1
	}
}
