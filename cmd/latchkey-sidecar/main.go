// Command latchkey-sidecar checks API keys beside Envoy, from a store that follows a hub.
//
// It is the small binary for the pod: it answers Check and follows, and holds nothing that could write to the store
// by itself, manage keys or make tokens.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/latchkey/latchkey/internal/serve"
)

// version is set by the linker.
var version = serve.UnknownVersion

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// Exit codes. They are those of latchkey.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // the command line is wrong
)

// usageError is a wrong command line or configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run serves and returns the exit code. The first SIGINT or SIGTERM ends the process in good order, the second at
// once.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := serve.UntilSignal(context.Background())
	defer stop()

	cmd := newCommand()
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	var usage usageError
	if errors.As(err, &usage) {
		// People paste tokens where they don't belong.
		_, _ = fmt.Fprintf(stderr, "latchkey-sidecar: %s\nSee `latchkey-sidecar --help`.\n", serve.Redact(err.Error()))
		return exitUsage
	}
	_, _ = fmt.Fprintf(stderr, "latchkey-sidecar: %s\n", serve.Redact(err.Error()))
	return exitFailed
}

func flagError(_ *cobra.Command, err error) error {
	// The text of a flag's own error quotes its value.
	var unknown *pflag.NotExistError
	var missing *pflag.ValueRequiredError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "":
		return usagef("there is no flag --%s", unknown.GetSpecifiedName())
	case errors.As(err, &missing):
		return usagef("--%s needs a value", missing.GetSpecifiedName())
	}
	return usagef("the flags can't be read")
}

// checkPlaces is the check that no flag that names a place names none.
func checkPlaces(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		given := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			given = list.GetSlice()
		}
		if wrong := serve.CheckPlace(f.Name, given...); wrong != nil && err == nil {
			err = usagef("%w", wrong)
		}
	})
	return err
}
