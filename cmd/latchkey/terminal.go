package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/latchkey/latchkey/internal/disk"
)

// isTerminal reports whether a stream of a command is a terminal, so that
// there are people in front of it.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// asks reports whether a command can put a question to somebody.
func asks(cmd *cobra.Command) bool {
	return isTerminal(cmd.InOrStdin()) && isTerminal(cmd.ErrOrStderr())
}

// errDeclined is returned when somebody was asked and didn't say yes.
var errDeclined = errors.New("nothing was changed: the answer wasn't yes")

// confirm puts a question to whoever sits at the terminal, and returns
// errDeclined unless the answer is yes. It waits until the context ends.
func confirm(cmd *cobra.Command, format string, args ...any) error {
	_, _ = fmt.Fprintf(cmd.ErrOrStderr(), format+" [y/N] ", args...)
	answer, err := disk.Wait(cmd.Context(), func() (string, error) {
		line, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n') // an end of input is no yes
		return strings.ToLower(strings.TrimSpace(line)), nil
	})
	if err != nil {
		note(cmd, "")
	}
	if answer == "y" || answer == "yes" {
		return nil
	}
	return errDeclined
}
