package watermark

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// Read reads the file. What is wrong in it is told by the contents. An error is os.ErrNotExist, ErrVersion, that it is no
// regular file (a link is none either) or larger than MaxSize, or that it can't be read.
func Read(path string) (*Contents, error) {
	f, info, err := open(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written
	c, err := read(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("reading the watermark %s: %w", path, err)
	}
	c.info = info
	return c, nil
}

// read reads the first bytes of a file, or fewer if it has become shorter.
func read(f *os.File, size int64) (*Contents, error) {
	if size > MaxSize {
		return nil, fmt.Errorf("it has %d bytes, the most is %d: this was not written by Latchkey", size, MaxSize)
	}
	b := make([]byte, size)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return parse(b[:n])
}

// open opens a regular file, and not through a link.
func open(path string, flag int) (*os.File, os.FileInfo, error) {
	// Looked at before it is opened: to open a pipe or a device can wait for ever, or do something.
	before, err := os.Lstat(path)
	if err != nil {
		return nil, nil, fmt.Errorf("looking at the watermark: %w", err)
	}
	if !before.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("the watermark %s is not a regular file: put it aside", path)
	}
	f, err := os.OpenFile(path, flag|noFollow, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the watermark: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !os.SameFile(before, info) {
		err = fmt.Errorf("the watermark %s was replaced while it was opened: try again", path)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}
