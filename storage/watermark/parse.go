package watermark

import (
	"bytes"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

// patience, times the file's size, is how many bytes of frames that don't check out are summed before reading gives up.
// Damage needs a fraction of it; it is there for files that somebody made to take for ever.
const patience = 8

// parse reads a whole file. The error is ErrVersion; all else that is wrong is told by the contents.
func parse(b []byte) (*Contents, error) {
	c := &Contents{size: int64(len(b)), end: headerSize}
	s, damage, err := readHeader(b)
	if errors.Is(err, ErrVersion) {
		return nil, err
	}
	// Zeros up to the end are room, not damage.
	used := len(bytes.TrimRight(b, "\x00"))
	if err != nil {
		c.Damage, c.Torn = err, used > 0
		return c, nil
	}
	c.salt, c.Damage = s, damage
	c.parseMarks(b, used)
	return c, nil
}

// parseMarks reads the frames. From used on there are zeros alone.
func (c *Contents) parseMarks(b []byte, used int) {
	var wrong error // since the last whole mark
	left := patience * len(b)
	for at := headerSize; at < used; {
		size, payload, err := c.salt.payload(b, at)
		var m *logv1.Mark
		if err == nil {
			m, err = c.decode(payload)
		}
		if err == nil {
			if c.Damage == nil {
				c.Damage = wrong
			}
			wrong = nil
			at += frameSize + size
			c.Marks, c.ends, c.end = append(c.Marks, m), append(c.ends, int64(at)), int64(at)
			continue
		}
		if wrong == nil {
			wrong = fmt.Errorf("byte %d: %w", at, err)
		}
		if payload != nil { // whole, and yet no mark to go by: nothing within it is one
			at += frameSize + size
			continue
		}
		if left -= size; left < 0 {
			break
		}
		next := bytes.Index(b[at+1:], []byte(frameMagic))
		if next < 0 {
			break
		}
		at += 1 + next
	}
	c.Torn = wrong != nil
	if len(c.Marks) == 0 && c.Damage == nil {
		c.Damage = wrong
		if wrong == nil {
			c.Damage = fmt.Errorf("byte %d: there is no mark", headerSize)
		}
	}
}

// decode makes a mark of a payload, if it may follow the marks so far.
func (c *Contents) decode(payload []byte) (*logv1.Mark, error) {
	m := &logv1.Mark{}
	if err := proto.Unmarshal(payload, m); err != nil {
		return nil, fmt.Errorf("a mark can't be decoded: %w", err)
	}
	return m, follows(c.Last(), m)
}

// follows checks a mark against the position of the one before it, which is nil for the first.
func follows(last *logv1.Position, m *logv1.Mark) error {
	switch p := m.GetPosition(); {
	case p == nil:
		return errors.New("a mark has no position")
	case last == nil:
		return nil
	case p.GetEpoch() < last.GetEpoch() || p.GetEpoch() == last.GetEpoch() && p.GetRevision() <= last.GetRevision():
		return fmt.Errorf("the mark of epoch %d, revision %d comes after that of epoch %d, revision %d",
			p.GetEpoch(), p.GetRevision(), last.GetEpoch(), last.GetRevision())
	}
	return nil
}
