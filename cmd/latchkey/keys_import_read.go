package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/internal/plural"
)

// maxImportLine is the longest line of an import, in bytes.
const maxImportLine = 1 << 20

// importBytes is at how many bytes of lines a request is full.
const importBytes = 4 << 20

// importLines is some lines of an import that follow each other.
type importLines struct {
	lines    []importLine
	mistakes []importMistake // of lines that can't be read
	count    int             // of lines that aren't empty
	err      error           // of reading; the last then
}

// first returns the first mistake, if there is one.
func (b *importLines) first() error {
	if len(b.mistakes) == 0 {
		return nil
	}
	return fmt.Errorf("line %d: %s", b.mistakes[0].line, b.mistakes[0].message)
}

// importBatches reads lines ahead of whoever takes them, by no more than a
// batch. stop has to be called in the end.
func importBatches(ctx context.Context, from io.Reader) (<-chan importLines, func()) {
	ctx, cancel := context.WithCancel(ctx)
	batches, over := make(chan importLines), make(chan struct{})
	go func() {
		defer close(over)
		defer close(batches)
		r := importReader{in: bufio.NewReaderSize(from, 1<<16)}
		for {
			b := r.batch()
			if b.count == 0 && b.err == nil || errors.Is(b.err, errInterrupted) {
				return
			}
			select {
			case batches <- b:
			case <-ctx.Done():
				return
			}
			if b.err != nil {
				return
			}
		}
	}()
	return batches, func() { cancel(); <-over }
}

// importReader reads lines one after the other.
type importReader struct {
	in   *bufio.Reader
	line int
	long []byte // of a line that is longer than the buffer
}

// batch reads the next lines. Those that can't be read are mistakes.
func (r *importReader) batch() (b importLines) {
	for size := 0; b.count < importBatch && size < importBytes; {
		text, err := r.next()
		if err == io.EOF {
			return b
		}
		if errors.Is(err, errLongLine) {
			b.count++
			b.mistakes = append(b.mistakes, importMistake{r.line, err.Error()})
			continue
		}
		if err != nil {
			b.err = err
			return b
		}
		if r.line == 1 {
			text = bytes.TrimPrefix(text, []byte("\ufeff")) // editors of Windows put it there
		}
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		b.count++
		size += len(text)
		k, err := readImportLine(text)
		if err != nil {
			b.mistakes = append(b.mistakes, importMistake{r.line, err.Error()})
			continue
		}
		b.lines = append(b.lines, importLine{r.line, k})
	}
	return b
}

var errLongLine = fmt.Errorf("it is longer than %d bytes: write one key a line", maxImportLine)

// next returns the next line, valid until the one after it is read.
func (r *importReader) next() ([]byte, error) {
	r.line++
	r.long = r.long[:0]
	size := 0
	for {
		part, err := r.in.ReadSlice('\n')
		size += len(part)
		if err == nil && size == len(part) {
			return part, nil
		}
		if size <= maxImportLine {
			r.long = append(r.long, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err == nil || err == io.EOF && size > 0:
			if size > maxImportLine {
				return nil, errLongLine
			}
			return r.long, nil
		}
		return nil, err
	}
}

// tell says what is wrong, in the order of the file, each with its place, and
// returns how many lines it was about. Of more than most lines it says how many.
func tell(cmd *cobra.Command, file string, mistakes []importMistake, most int) int {
	slices.SortStableFunc(mistakes, func(a, b importMistake) int { return a.line - b.line })
	lines, last := 0, 0
	for _, m := range slices.Compact(mistakes) {
		if m.line != last {
			lines, last = lines+1, m.line
		}
		if lines <= most {
			note(cmd, "%s:%d: %s", file, m.line, strings.ReplaceAll(m.message, "\n", "; "))
		}
	}
	if more := lines - most; more > 0 {
		note(cmd, "… and %s more", plural.Count(more, "line"))
	}
	return lines
}
