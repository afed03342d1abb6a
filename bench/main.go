// Command bench measures what one check costs, side by side with what else could
// answer it.
//
// Each subject is a process of its own: Latchkey with different numbers of keys, a
// server that answers without looking (what gRPC itself costs), OPA's Envoy plugin
// with the same keys and rules, and, behind a real Envoy, Envoy's own filter and no
// filter at all. One generator (package load) drives them in turns: of every scenario
// each round measures all subjects, beginning with another one each time, so that what
// the machine does meanwhile meets all of them. Figures are medians over the rounds,
// ratios are medians of the ratios within a round: ratios carry from machine to
// machine, figures don't.
//
// CPU time is what the kernel accounts to the server's process, so the generator,
// which shares the cores, doesn't blur it. Throughput and latency it does blur, for
// all subjects alike.
//
// `bench noop` and `bench fill` are the processes that it starts from itself.
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
	command := runBench
	if len(args) > 0 {
		switch args[0] {
		case "noop":
			command, args = runNoop, args[1:]
		case "fill":
			command, args = stock.RunFill, args[1:]
		}
	}
	switch err := command(ctx, args, stdout, stderr); {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		return 2 // the flags have been shown
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "bench: stopped")
		return 1
	default:
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
}
