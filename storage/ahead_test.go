package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// What is read ahead is what is there, wherever and however much one reads.
func TestReadAheadReadsWhatIsThere(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	whole := make([]byte, 3*aheadMost+777)
	for i := range whole {
		whole[i] = byte(random.Uint32())
	}
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := readAhead(f, int64(len(whole)))
	at := int64(0)
	for range 20_000 {
		p := make([]byte, 1+random.IntN(8<<10))
		switch random.IntN(20) {
		case 0:
			at = int64(random.IntN(len(whole) + 100))
		case 1:
			p = make([]byte, random.IntN(2*aheadMost))
		}
		n, err := r.ReadAt(p, at)
		want := whole[min(at, int64(len(whole))):min(at+int64(len(p)), int64(len(whole)))]
		if !bytes.Equal(p[:n], want) || (err == nil) != (n == len(p)) || err != nil && !errors.Is(err, io.EOF) {
			t.Fatalf("%d bytes at %d: %d, %v", len(p), at, n, err)
		}
		at += int64(len(p))
	}
}

// A disk that fails fails the read that asked for that place, and no other.
func TestReadAheadFailsWhereTheDiskDoes(t *testing.T) {
	bad := int64(100_000)
	r := &aheadReader{file: readerFunc(func(p []byte, off int64) (int, error) {
		if n := bad - off; n < int64(len(p)) {
			return int(max(n, 0)), fmt.Errorf("a bad sector at %d", bad)
		}
		return len(p), nil
	})}
	for at := int64(0); ; at += 4096 {
		_, err := r.ReadAt(make([]byte, 4096), at)
		if failed := at+4096 > bad; (err != nil) != failed {
			t.Fatalf("at %d: %v", at, err)
		} else if failed {
			return
		}
	}
}

type readerFunc func(p []byte, off int64) (int, error)

func (f readerFunc) ReadAt(p []byte, off int64) (int, error) { return f(p, off) }
