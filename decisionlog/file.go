package decisionlog

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
)

// file is a file of bounded size, which is put aside as PATH.1 when it is full,
// and that as PATH.2. Whoever moves it away or removes it gets a new one begun
// at PATH, as programs that rotate logs do. One goroutine uses it.
type file struct {
	path     string
	maxSize  int64
	maxFiles int

	f    *os.File // nil: it couldn't be opened when it was needed
	info os.FileInfo
	size int64
}

// openFile opens or makes a file, with mode 0600.
func openFile(path string, maxSize int64, maxFiles int) (*file, error) {
	w := &file{path: path, maxSize: maxSize, maxFiles: maxFiles}
	if err := w.open(); err != nil {
		return nil, fmt.Errorf("opening the decision log: %w", err)
	}
	return w, nil
}

func (w *file) open() error {
	// To open a pipe would wait for its reader.
	if info, err := os.Stat(w.path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file: name one, or write to standard output", w.path)
	}
	f, err := os.OpenFile(w.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	w.f, w.info, w.size = f, info, info.Size()
	return w.endLine()
}

// endLine ends the line that a process or a machine that died has left begun:
// whoever reads line by line finds the next one whole.
func (w *file) endLine() error {
	if w.size == 0 {
		return nil
	}
	last := make([]byte, 1)
	if _, err := w.f.ReadAt(last, w.size-1); err != nil || last[0] == '\n' {
		return err
	}
	n, err := w.f.Write(newline)
	w.size += int64(n)
	return err
}

// Write appends whole lines. Where it can't, none of the file is part of a line.
func (w *file) Write(lines []byte) (int, error) {
	if err := w.ready(int64(len(lines))); err != nil {
		return 0, err
	}
	n, err := w.f.Write(lines)
	if whole := bytes.LastIndexByte(lines[:n], '\n') + 1; err != nil && whole < n {
		if w.f.Truncate(w.size+int64(whole)) == nil {
			n = whole
		}
	}
	w.size += int64(n)
	return n, err
}

// ready sees to it that the file at the path is open, and has room.
func (w *file) ready(more int64) error {
	if w.f != nil {
		if at, err := os.Stat(w.path); err != nil || !os.SameFile(at, w.info) {
			_ = w.Close()
		}
	}
	if w.f == nil {
		if err := w.open(); err != nil {
			return err
		}
	}
	if w.size == 0 || w.size+more <= w.maxSize {
		return nil
	}
	// Where it can't be put aside, nothing more is written: a file that grows without end fills the disk of others.
	_ = w.Close()
	if err := w.rotate(); err != nil {
		return err
	}
	return w.open()
}

// rotate puts the file aside, and removes those that are too many.
func (w *file) rotate() error {
	aside := func(n int) string {
		if n == 0 {
			return w.path
		}
		return w.path + "." + strconv.Itoa(n)
	}
	for n := w.maxFiles - 1; ; n++ {
		if err := os.Remove(aside(n)); errors.Is(err, fs.ErrNotExist) {
			if n >= w.maxFiles {
				break
			}
		} else if err != nil {
			return err
		}
	}
	for n := w.maxFiles - 2; n >= 0; n-- {
		if err := os.Rename(aside(n), aside(n+1)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Close closes the file.
func (w *file) Close() error {
	if w.f == nil {
		return nil
	}
	err := w.f.Close()
	w.f = nil
	return err
}
