package strictyaml

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"google.golang.org/protobuf/proto"
)

// ReadFile reads a file for [Decode]: all of it, or, of one that is too large
// to be read, no more than Decode needs to say so. A named pipe is
// refused: one that nobody writes to would hold up whoever follows the file.
func ReadFile(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	switch info, err := f.Stat(); {
	case err != nil:
		return nil, errors.Join(err, f.Close())
	case info.Mode()&fs.ModeNamedPipe != 0:
		return nil, errors.Join(&fs.PathError{Op: "read", Path: name, Err: errPipe}, f.Close())
	}
	return read(f)
}

// ReadStream is [ReadFile] for commands, which read once, and may be given a
// pipe, as by <(…) of a shell.
func ReadStream(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	return read(f)
}

var errPipe = errors.New("it is a named pipe: name a regular file")

func read(f *os.File) (src []byte, err error) {
	src, err = io.ReadAll(io.LimitReader(f, MaxSize+1))
	return src, errors.Join(err, f.Close())
}

// DecodeFile reads a file and decodes it into a message. what says in an error
// of reading what the file is: "the configuration".
func DecodeFile(what, name string, into proto.Message) error {
	src, err := ReadFile(name)
	if err != nil {
		return fmt.Errorf("reading %s: %w", what, err)
	}
	_, err = Decode(name, src, into)
	return err
}
