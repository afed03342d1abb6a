package main

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// twice is what can be read from its beginning again.
type twice struct {
	io.Reader
	in     *input // nil: it is kept
	file   *os.File
	stream func() cipher.Stream // nil: the file is as it is
}

// openTwice opens a file, or stdin for "-". What can't be read again is kept:
// in a file that nobody else can open or, since it may hold tokens, read.
func openTwice(cmd *cobra.Command, name string) (*twice, error) {
	in, err := openInput(cmd, name)
	if err != nil {
		return nil, err
	}
	if file, ok := in.ReadCloser.(*os.File); ok {
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			return &twice{Reader: in, in: in, file: file}, nil
		}
	}
	t, err := spool(in)
	if err := in.end(err); err != nil {
		return nil, err
	}
	return t, nil
}

// spool keeps a stream in a file without a name.
func spool(in io.Reader) (_ *twice, err error) {
	file, err := os.CreateTemp("", "latchkey-import-*")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	if err := os.Remove(file.Name()); err != nil {
		return nil, err
	}
	secret := make([]byte, 32+aes.BlockSize)
	_, _ = rand.Read(secret) // never fails: crypto/rand ends the process first
	block, err := aes.NewCipher(secret[:32])
	if err != nil {
		return nil, err
	}
	// Used for this file alone, so that a counter mode needs nothing more.
	t := &twice{file: file, stream: func() cipher.Stream { return cipher.NewCTR(block, secret[32:]) }}
	w := bufio.NewWriterSize(cipher.StreamWriter{S: t.stream(), W: file}, 1<<16)
	if _, err := io.Copy(w, in); err != nil {
		return nil, err
	}
	if err := w.Flush(); err != nil {
		return nil, err
	}
	return t, t.rewind()
}

// rewind goes back to the beginning.
func (t *twice) rewind() error {
	t.Reader = t.in
	if t.in == nil {
		t.Reader = cipher.StreamReader{S: t.stream(), R: t.file}
	}
	_, err := t.file.Seek(0, io.SeekStart)
	return err
}

// Close lets go of the file.
func (t *twice) Close() error { return t.file.Close() }
