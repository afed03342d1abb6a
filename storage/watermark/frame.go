package watermark

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"google.golang.org/protobuf/proto"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

const (
	fileMagic  = "LKWMARK\n"
	frameMagic = "\xf5mk\xfe" // no text in UTF-8 holds it
	version    = 1

	copySize   = 32
	headerSize = 2 * copySize
	frameSize  = 12 // before the payload
)

const (
	// MaxMark is how many bytes an encoded mark may have.
	MaxMark = 128 << 20
	// MaxSize is how many bytes a file may have. It is far more than the limit at which a file is made shorter.
	MaxSize = 512 << 20
)

// ErrVersion is returned for a file of a format version that this program doesn't know.
var ErrVersion = errors.New("unknown format version")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var deterministic = proto.MarshalOptions{Deterministic: true}

// salt is what makes the frames of one file differ from those of any other.
type salt [16]byte

func newSalt() (s salt) {
	_, _ = rand.Read(s[:]) // never fails
	return s
}

// header returns both copies.
func header(s salt) []byte {
	one := append(make([]byte, 0, headerSize), fileMagic...)
	one = binary.LittleEndian.AppendUint32(one, version)
	one = append(one, s[:]...)
	one = binary.LittleEndian.AppendUint32(one, crc32.Checksum(one, castagnoli))
	return append(one, one...)
}

// readHeader returns the salt of a file. damage is set when one copy alone is whole. The error is ErrVersion, or that there
// is no whole copy.
func readHeader(b []byte) (s salt, damage, err error) {
	found := false
	for at := 0; at < headerSize; at += copySize {
		one, ok := headerCopy(b, at)
		switch {
		case !ok:
			if damage == nil {
				damage = fmt.Errorf("byte %d: a copy of the header is damaged", at)
			}
		case binary.LittleEndian.Uint32(one[8:]) != version:
			return s, nil, fmt.Errorf("%w %d, this program knows %d: use the release of Latchkey that wrote it", ErrVersion,
				binary.LittleEndian.Uint32(one[8:]), version)
		case !found:
			found = true
			copy(s[:], one[12:])
		case !bytes.Equal(s[:], one[12:28]):
			damage = fmt.Errorf("byte %d: the copies of the header differ", at)
		}
	}
	if !found {
		return s, nil, errors.New("byte 0: no whole header")
	}
	return s, damage, nil
}

func headerCopy(b []byte, at int) (one []byte, ok bool) {
	if len(b) < at+copySize {
		return nil, false
	}
	one = b[at : at+copySize]
	ok = string(one[:8]) == fileMagic && binary.LittleEndian.Uint32(one[28:]) == crc32.Checksum(one[:28], castagnoli)
	return one, ok
}

func (s salt) sum(offset int64, payload []byte) uint32 {
	place := append(make([]byte, 0, len(s)+12), s[:]...)
	place = binary.LittleEndian.AppendUint64(place, uint64(offset))
	place = binary.LittleEndian.AppendUint32(place, uint32(len(payload)))
	return crc32.Update(crc32.Checksum(place, castagnoli), castagnoli, payload)
}

// appendFrame appends a mark's frame to b. offset is where in the file the frame will begin.
func (s salt) appendFrame(b []byte, offset int64, m *logv1.Mark) ([]byte, error) {
	payload, err := deterministic.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encoding the mark: %w", err)
	}
	if len(payload) > MaxMark {
		return nil, tooLarge(len(payload))
	}
	b = append(b, frameMagic...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
	b = binary.LittleEndian.AppendUint32(b, s.sum(offset, payload))
	return append(b, payload...), nil
}

func tooLarge(size int) error {
	return fmt.Errorf("a mark of %d bytes is too large, the most is %d: divide the change", size, MaxMark)
}

// payload returns the length that the frame at an offset claims, and its payload if it is whole.
func (s salt) payload(b []byte, at int) (claimed int, payload []byte, err error) {
	rest := b[at:]
	if len(rest) < frameSize || string(rest[:4]) != frameMagic {
		return 0, nil, errors.New("no mark begins here")
	}
	length := int64(binary.LittleEndian.Uint32(rest[4:]))
	if length > MaxMark || length > int64(len(rest)-frameSize) {
		return 0, nil, errors.New("a mark is longer than the file")
	}
	payload = rest[frameSize : frameSize+length]
	if binary.LittleEndian.Uint32(rest[8:]) != s.sum(int64(at), payload) {
		return len(payload), nil, errors.New("the checksum of a mark is wrong")
	}
	return len(payload), payload, nil
}
