// Command latchkey checks API keys at the mesh's edge, and manages them.
//
// `latchkey serve` is the process that Envoy asks. All other commands but
// `policy check`, `test`, `matrix` and `schema`, and `db` where no process has
// the store, ask that process, by its admin address. One file holds one command.
package main

import (
	"context"
	"io"
	"os"

	"github.com/latchkey/latchkey/internal/serve"
)

// version is set by the linker.
var version = serve.UnknownVersion

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run runs one command and returns its exit code. The first SIGINT or SIGTERM
// ends the command in good order, the second ends the process.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := serve.UntilSignal(context.Background())
	defer stop()

	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	return report(stderr, cmd, err)
}
