package strictyaml

import (
	"errors"
	"io"
	"os"

	"github.com/latchkey/latchkey/internal/disk"
)

// ReadFile reads a file for [Decode]: all of it, or, of one that is too large
// to be read, no more than Decode needs to say so. A named pipe is
// refused: one that nobody writes to would hold up whoever follows the file.
func ReadFile(name string) ([]byte, error) { return disk.Read(name, MaxSize) }

// ReadStream is [ReadFile] for commands, which read once, and may be given a
// pipe, as by <(…) of a shell.
func ReadStream(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	src, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	return src, errors.Join(err, f.Close())
}
