package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

const (
	// streamMost is the longest message of an export: a policy is the one object
	// that has no limit of its own.
	streamMost = 64 << 20
	// streamAtOnce is how many bytes are looked at in one go, and streamKept how
	// much memory is kept for the next.
	streamAtOnce = 256 << 10
	streamKept   = 1 << 20
)

// stream takes what Export wrote apart, in whatever pieces it comes. It has no
// more in memory than one object and a piece.
type stream struct {
	rest []byte // the beginning of a message
	last object // that came
}

// write calls do with each object that is whole by now.
func (s *stream) write(p []byte, do func(*logv1.Put) error) error {
	for piece := range slices.Chunk(p, streamAtOnce) {
		s.rest = append(s.rest, piece...)
		read := 0
		for {
			n, err := s.message(s.rest[read:], do)
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			read += n
		}
		s.rest = s.rest[:copy(s.rest, s.rest[read:])]
		if len(s.rest) < streamKept && cap(s.rest) > 2*streamKept {
			s.rest = slices.Clone(s.rest)
		}
	}
	return nil
}

// message reads one message and returns its length, and 0 for one that isn't
// whole yet.
func (s *stream) message(b []byte, do func(*logv1.Put) error) (int, error) {
	size, head := binary.Uvarint(b)
	switch {
	case head == 0 && len(b) < binary.MaxVarintLen64:
		return 0, nil
	case head <= 0:
		return 0, fmt.Errorf("after %s: a length that isn't one", s.last)
	case size > streamMost:
		return 0, fmt.Errorf("after %s: an object of %d bytes, and the most is %d", s.last, size, streamMost)
	case uint64(len(b)-head) < size:
		return 0, nil
	}
	end := head + int(size)
	var p logv1.Put
	if err := proto.Unmarshal(b[head:end], &p); err != nil {
		return 0, fmt.Errorf("after %s: %w", s.last, err)
	}
	o := object{p.GetKind(), p.GetName()}
	if err := s.follows(o, &p); err != nil {
		return 0, fmt.Errorf("%s, after %s: %w", o, s.last, err)
	}
	s.last = o
	return end, do(&p)
}

// follows returns why an object isn't one that may come after the last.
func (s *stream) follows(o object, p *logv1.Put) error {
	switch {
	case bucketOf(o.kind) == nil:
		return errors.New("it is of an unknown kind")
	case o.name == "" || len(o.name) > bbolt.MaxKeySize:
		return errors.New("its name can't be one")
	case p.GetRemoved():
		return errors.New("it is removed, and a snapshot has what is there")
	case o.kind != logv1.Kind_KIND_POLICY && len(p.GetValue()) > objectMax:
		return fmt.Errorf("it is %d bytes long, and an object has %d at most", len(p.GetValue()), objectMax)
	case o.kind < s.last.kind || o.kind == s.last.kind && o.name <= s.last.name:
		return errors.New("it comes out of order, or twice")
	}
	return nil
}

// end returns an error where a message was begun.
func (s *stream) end() error {
	if len(s.rest) > 0 {
		return fmt.Errorf("it was cut off after %s", s.last)
	}
	return nil
}
