package storage

import (
	"io"
	"os"
)

// aheadMost is how much is read at once.
const aheadMost = 256 << 10

// aheadReader reads a file in larger pieces where it is read from one end to the
// other, as pages often are, and no more than it is asked for elsewhere. It is for
// one goroutine.
type aheadReader struct {
	file io.ReaderAt
	buf  []byte // what was read ahead
	at   int64  // where that begins
	end  int64  // of the read before
	want int    // how much to read at once, if the next read follows
}

// readAhead returns a reader of a whole file, and tells the kernel to bring it
// in: on a disk that is cold most of a start is waiting for it.
func readAhead(f *os.File, size int64) *aheadReader {
	willRead(f, size)
	return &aheadReader{file: f}
}

// ReadAt implements io.ReaderAt.
func (r *aheadReader) ReadAt(p []byte, off int64) (int, error) {
	follows := off == r.end
	r.end = off + int64(len(p))
	if from := off - r.at; from >= 0 && from+int64(len(p)) <= int64(len(r.buf)) {
		return copy(p, r.buf[from:]), nil
	}
	if !follows || len(p) >= aheadMost {
		r.want = 2 * len(p)
		return r.file.ReadAt(p, off)
	}
	r.want = min(max(2*r.want, len(p)), aheadMost)
	if cap(r.buf) < r.want {
		r.buf = make([]byte, 0, aheadMost)
	}
	// Short of the end of the file, what an error is about may be no business of
	// this read.
	n, _ := r.file.ReadAt(r.buf[:r.want], off)
	r.buf, r.at = r.buf[:n], off
	if n < len(p) {
		return r.file.ReadAt(p, off)
	}
	return copy(p, r.buf), nil
}
