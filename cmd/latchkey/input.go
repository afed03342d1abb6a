package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/internal/disk"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policyfile"
)

// errInterrupted is what becomes of a command that is told to end while it waits for what it is to read.
var errInterrupted = errors.New("interrupted: nothing was changed")

// unlessInterrupted does what may wait for ever, as for somebody who writes to a pipe, and lets go of it when the command is
// to end.
func unlessInterrupted[T any](ctx context.Context, do func() (T, error)) (T, error) {
	value, err := disk.Wait(ctx, do)
	if err != nil && ctx.Err() != nil {
		err = errInterrupted
	}
	return value, err
}

// input is what a command reads. No read outlives the command.
type input struct {
	io.ReadCloser
	ctx  context.Context // of the command
	name string
}

// Read implements io.Reader. Once the command is to end, what was to be read into must not be used any more.
func (i *input) Read(into []byte) (int, error) {
	return unlessInterrupted(i.ctx, func() (int, error) { return i.ReadCloser.Read(into) })
}

// openInput opens a file, or stdin for "-".
func openInput(cmd *cobra.Command, name string) (*input, error) {
	if name == "-" {
		return &input{io.NopCloser(cmd.InOrStdin()), cmd.Context(), name}, nil
	}
	file, err := unlessInterrupted(cmd.Context(), func() (*os.File, error) { return os.Open(name) })
	if err != nil {
		return nil, err
	}
	return &input{file, cmd.Context(), name}, nil
}

// end closes it, and returns what was wrong with reading it, if anything.
func (i *input) end(err error) error {
	switch err = errors.Join(err, i.Close()); {
	case err == nil:
		return nil
	case errors.Is(err, errInterrupted):
		return errInterrupted
	}
	return fmt.Errorf("reading %s: %w", i.name, err)
}

// readInput reads a whole file, or stdin for "-", of at most max bytes.
func readInput(cmd *cobra.Command, name string, max int64) ([]byte, error) {
	in, err := openInput(cmd, name)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(in, max+1))
	if err := in.end(err); err != nil {
		return nil, err
	}
	if int64(len(text)) > max {
		return nil, fmt.Errorf("the file is larger than the %d bytes that are read", max)
	}
	return text, nil
}

// readToken reads a token from a file, or from stdin for "-". White space around it, such as the end of the line, belongs to
// the file.
func readToken(cmd *cobra.Command, name string) (key.Token, error) {
	text, err := readInput(cmd, name, 4*key.MaxTokenLength)
	if errors.Is(err, errInterrupted) {
		return key.Token{}, err
	}
	if err != nil {
		// Whoever mistakes the flag names a token in place of a file.
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return key.Token{}, fmt.Errorf("the file with the token can't be read: %w: name a file that holds it, or - for stdin", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return key.Token{}, errors.New("there is no token in the file: write it there, on one line")
	}
	return key.NewToken(token), nil
}

// loadPolicies loads the policies of files and folders, and of pipes.
func loadPolicies(cmd *cobra.Command, paths ...string) ([]*policyfile.Loaded, error) {
	return unlessInterrupted(cmd.Context(), func() ([]*policyfile.Loaded, error) { return policyfile.LoadFiles(paths...) })
}
