package decisionlog

import "sync"

// bufferSize is how many bytes of lines may wait to be written: some thousand
// lines. A second buffer is as large, which is being written meanwhile.
const bufferSize = 1 << 20

// buffer holds lines until they are written. Nobody waits for a place in it.
type buffer struct {
	some chan struct{} // has a value since the buffer was empty
	many chan struct{} // has a value since it was half full

	mu      sync.Mutex // held for as long as it takes to copy a line
	filling []byte
	other   []byte
}

func newBuffer() *buffer {
	return &buffer{
		some: make(chan struct{}, 1), many: make(chan struct{}, 1),
		filling: make([]byte, 0, bufferSize), other: make([]byte, 0, bufferSize),
	}
}

// add adds a line, and reports whether there was room for it.
func (b *buffer) add(line []byte) bool {
	b.mu.Lock()
	before := len(b.filling)
	room := before+len(line) <= bufferSize
	if room {
		b.filling = append(b.filling, line...)
	}
	b.mu.Unlock()
	if before == 0 {
		wake(b.some)
	}
	if before < bufferSize/2 && before+len(line) >= bufferSize/2 {
		wake(b.many)
	}
	return room
}

// take returns the lines that have gathered. They may be read until it is
// called again.
func (b *buffer) take() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.filling, b.other = b.other[:0], b.filling
	return b.other
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
