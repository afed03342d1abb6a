package strictyaml

import (
	"errors"
	"io"
	"os"
)

// ReadFile reads a file for [Decode]: all of it, or, of one that is too large
// to be read, no more than Decode needs to say so.
func ReadFile(name string) (src []byte, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	src, err = io.ReadAll(io.LimitReader(f, MaxSize+1))
	return src, errors.Join(err, f.Close())
}
