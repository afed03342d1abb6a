package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/key"
)

// openInput opens a file, or stdin for "-".
func openInput(cmd *cobra.Command, name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(cmd.InOrStdin()), nil
	}
	return os.Open(name)
}

func closeInput(in io.Closer, err error) error { return errors.Join(err, in.Close()) }

// readInput reads a whole file, or stdin for "-", of at most max bytes.
func readInput(cmd *cobra.Command, name string, max int64) ([]byte, error) {
	in, err := openInput(cmd, name)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(in, max+1))
	if err := closeInput(in, err); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if int64(len(text)) > max {
		return nil, fmt.Errorf("the file is larger than the %d bytes that are read", max)
	}
	return text, nil
}

// readToken reads a token from a file, or from stdin for "-". One end of line
// after it belongs to the file.
func readToken(cmd *cobra.Command, name string) (key.Token, error) {
	text, err := readInput(cmd, name, 4*key.MaxTokenLength)
	if err != nil {
		// Whoever mistakes the flag names a token in place of a file.
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return key.Token{}, fmt.Errorf("the file with the token can't be read: %w: name a file that holds it, or - for stdin", err)
	}
	token := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if token == "" {
		return key.Token{}, errors.New("there is no token in the file: write it there, on one line")
	}
	return key.NewToken(token), nil
}
