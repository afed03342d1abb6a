package serve

import "encoding/binary"

const (
	prefaceLength     = 24 // of a client, before its first frame
	frameHeaderLength = 9
	dataFrame         = 0
	headersFrame      = 1
	endStream         = 1
)

// fragments follows what a peer sends, frame by frame, and tells when it cuts
// messages into more pieces than the transport has a reason to. The zero value
// is a connection of which nothing was read. It reads no more than the lengths
// and kinds of frames; whether they are right, gRPC sees.
type fragments struct {
	begun bool
	skip  uint32 // bytes until the next header
	have  int    // bytes of that header
	head  [frameHeaderLength]byte
	spent int // in bytes of messages that would pay for it
	calls int // that began, as far as frames tell
}

// read takes what was read from the connection, and reports whether that is
// still within the limit.
func (f *fragments) read(b []byte) bool {
	if !f.begun {
		f.begun, f.skip = true, prefaceLength
	}
	for {
		if int(f.skip) >= len(b) {
			f.skip -= uint32(len(b))
			return f.spent <= maxFragments*fragmentCost
		}
		b = b[f.skip:]
		n := copy(f.head[f.have:], b)
		f.have, f.skip, b = f.have+n, 0, b[n:]
		if f.have < frameHeaderLength {
			return f.spent <= maxFragments*fragmentCost
		}
		f.have = 0
		f.skip = binary.BigEndian.Uint32(f.head[:4]) >> 8
		if f.head[3] != dataFrame {
			if f.head[3] == headersFrame {
				f.calls++
			}
			continue
		}
		f.spent = max(0, f.spent-int(f.skip))
		if f.skip < fragmentSize && f.head[4]&endStream == 0 {
			f.spent += fragmentCost
		}
	}
}
