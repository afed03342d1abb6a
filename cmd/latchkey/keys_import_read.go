package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// maxImportLine is the longest line of an import, in bytes.
const maxImportLine = 1 << 20

// importBytes is at how many bytes of lines a request is full.
const importBytes = 4 << 20

// twice is what can be read from its beginning again.
type twice struct {
	io.Reader
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
	if file, ok := in.(*os.File); ok {
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			return &twice{Reader: file, file: file}, nil
		}
	}
	t, err := spool(in)
	if err := closeInput(in, err); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
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
	t.Reader = t.file
	if t.stream != nil {
		t.Reader = cipher.StreamReader{S: t.stream(), R: t.file}
	}
	_, err := t.file.Seek(0, io.SeekStart)
	return err
}

// Close lets go of the file.
func (t *twice) Close() error { return t.file.Close() }

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
			if b.count == 0 && b.err == nil {
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

// twins finds tokens and ids that stand on two lines, however far apart. Of
// each it remembers 20 bytes: of a digest as many as nobody finds another for.
type twins struct {
	tokens map[[16]byte]uint32
	ids    map[[16]byte]uint32
}

func newTwins() *twins {
	return &twins{map[[16]byte]uint32{}, map[[16]byte]uint32{}}
}

// find takes those out of the lines that have a token or an id of an earlier one.
func (t *twins) find(b *importLines) (mistakes []importMistake) {
	b.lines = slices.DeleteFunc(b.lines, func(l importLine) bool {
		if id, ok := key.ParseID(l.key.GetId()).Random(); ok {
			if first, twice := t.ids[id]; twice {
				mistakes = append(mistakes, importMistake{l.line, fmt.Sprintf("the id is that of line %d: leave one of them out", first)})
				return true
			}
			t.ids[id] = uint32(l.line)
		}
		for _, d := range digests(l.key) {
			if first, twice := t.tokens[d]; twice {
				mistakes = append(mistakes, importMistake{l.line, fmt.Sprintf("the token is that of line %d: leave one of them out", first)})
				return true
			}
			t.tokens[d] = uint32(l.line)
		}
		return false
	})
	return mistakes
}

// digests returns the beginnings of the digests of a line that can be read.
func digests(k *adminv1.ImportKey) (all [][16]byte) {
	if k.GetToken() != "" {
		d := key.NewToken(k.GetToken()).Digest()
		all = append(all, [16]byte(d[:]))
	}
	texts := []string{k.GetTokenSha256()}
	for _, s := range k.GetFormerSecrets() {
		texts = append(texts, s.GetTokenSha256())
	}
	for _, text := range texts {
		if d, err := hex.DecodeString(text); err == nil && len(d) == len(key.Digest{}) {
			all = append(all, [16]byte(d))
		}
	}
	return all
}

// tell says what is wrong, in the order of the file, each with its place, and
// returns how many lines it was about.
func tell(cmd *cobra.Command, file string, mistakes []importMistake) int {
	slices.SortStableFunc(mistakes, func(a, b importMistake) int { return a.line - b.line })
	lines, last := 0, 0
	for _, m := range slices.Compact(mistakes) {
		if m.line != last {
			lines, last = lines+1, m.line
		}
		note(cmd, "%s:%d: %s", file, m.line, strings.ReplaceAll(m.message, "\n", "; "))
	}
	return lines
}
