package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/internal/serve"
)

// Exit codes. They are stable.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2 // the command line is wrong
	exitDiffers = 3 // differences, or rows of a table that fail
	exitDenied  = 4 // explain says deny
)

// exit is an error with an exit code. Without an error in it nothing is left
// to be said.
type exit struct {
	code int
	err  error
}

func (e exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e exit) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return exit{exitUsage, fmt.Errorf(format, args...)}
}

// report says on stderr what is wrong, if anything, and returns the exit code.
func report(stderr io.Writer, cmd *cobra.Command, err error) int {
	if err == nil {
		return exitDone
	}
	e := exit{exitFailed, err}
	errors.As(err, &e)
	if e.err == nil {
		return e.code
	}
	// People paste tokens where they don't belong: as names of files, and into files.
	text := serve.Redact(err.Error())
	if e.code == exitUsage && cmd != nil {
		text += fmt.Sprintf("\nSee `%s --help`.", cmd.CommandPath())
	}
	_, _ = fmt.Fprintf(stderr, "latchkey: %s\n", text)
	return e.code
}
