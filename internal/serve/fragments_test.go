package serve

import (
	"bytes"
	"testing"

	"golang.org/x/net/http2"
)

// sent is what a client sends: its preface, and then what the function writes.
func sent(t *testing.T, write func(*http2.Framer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(http2.ClientPreface)
	if err := write(http2.NewFramer(&b, nil)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFragments(t *testing.T) {
	data := func(n, length int, last bool) func(*http2.Framer) error {
		return func(f *http2.Framer) error {
			for range n {
				if err := f.WriteData(1, last, make([]byte, length)); err != nil {
					return err
				}
			}
			return nil
		}
	}
	for name, c := range map[string]struct {
		write  func(*http2.Framer) error
		within bool
	}{
		"nothing":                 {func(*http2.Framer) error { return nil }, true},
		"whole messages":          {data(100_000, 1, true), true},
		"messages in long pieces": {data(1000, fragmentSize, false), true},
		"some fragments":          {data(maxFragments, fragmentSize/2, false), true},
		"a message byte by byte":  {data(2*maxFragments, 1, false), false},
		"empty pieces":            {data(2*maxFragments, 0, false), false},
		// A window ends in the middle of a message, again and again.
		"a remainder in each window": {func(f *http2.Framer) error {
			for range 10_000 {
				for _, length := range []int{16384, 100} {
					if err := f.WriteData(1, false, make([]byte, length)); err != nil {
						return err
					}
				}
			}
			return nil
		}, true},
		"no savings": {func(f *http2.Framer) error {
			for range 1000 {
				if err := f.WriteData(1, true, make([]byte, 16384)); err != nil {
					return err
				}
			}
			return data(2*maxFragments, 1, false)(f)
		}, false},
		"other frames": {func(f *http2.Framer) error {
			for range 10_000 {
				if err := f.WriteWindowUpdate(1, 1); err != nil {
					return err
				}
			}
			return nil
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			all := sent(t, c.write)
			// However it is cut into reads.
			for _, piece := range []int{1, 7, 9, 24, 1000, len(all)} {
				var f fragments
				within := true
				for rest := all; len(rest) > 0 && within; {
					n := min(piece, len(rest))
					within = f.read(rest[:n])
					rest = rest[n:]
				}
				if within != c.within {
					t.Errorf("in reads of %d bytes: within the limit is %v, want %v", piece, within, c.within)
				}
			}
		})
	}
}
