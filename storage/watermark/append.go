package watermark

import (
	"errors"
	"fmt"
	"syscall"

	"google.golang.org/protobuf/proto"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

const (
	chunk = 64 << 10 // room is made in steps of it
	block = 4 << 10  // or of it, if the disk is nearly full
)

var zeros [chunk]byte

// Reserve sees to it that there is room on the disk for a mark, so that Append can't fail for lack of it, and makes the file
// shorter when it has grown beyond its limit. Until a mark is appended another call takes the same room. After an error the
// marks are as they were: the mark doesn't follow the last one or is too large, the file was moved (ErrMoved), or the disk
// refused.
func (f *File) Reserve(m *logv1.Mark) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.check(m); err != nil {
		return err
	}
	size := int64(frameSize + proto.Size(m))
	f.keepShort(size)
	// Now, since a rename can be done and yet fail, where the disk is far away.
	if err := f.moved(); err != nil {
		return err
	}
	if err := f.room(size); err != nil {
		f.retry = 0 // a shorter file may find room
		return fmt.Errorf("making room in the watermark %s: %w", f.path, err)
	}
	return nil
}

// Append writes a mark. It is durable on return. After an error it may be in the file or not; the next Append goes to the
// same place and leaves nothing of it.
func (f *File) Append(m *logv1.Mark) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.check(m); err != nil {
		return err
	}
	if err := f.append(m); err != nil {
		return fmt.Errorf("appending to the watermark %s: %w", f.path, err)
	}
	return nil
}

func (f *File) append(m *logv1.Mark) error {
	frame, err := f.salt.appendFrame(nil, f.end, m)
	if err != nil {
		return err
	}
	if err := f.room(int64(len(frame))); err != nil {
		return err
	}
	clean, end := f.clean, f.end+int64(len(frame))
	f.clean, f.used = f.end, end // unless all goes well
	if err := f.disk.write(f.file, frame, f.end); err != nil {
		return err
	}
	if err := f.disk.sync(f.file); err != nil {
		return err
	}
	f.clean, f.end, f.last = clean, end, proto.CloneOf(m.GetPosition())
	return nil
}

// check refuses what Read would not take for a mark.
func (f *File) check(m *logv1.Mark) error {
	if err := follows(f.last, m); err != nil {
		return err
	}
	if len(m.GetRevoked()) > 0 {
		return errors.New("only the base has a list of revoked keys")
	}
	if size := proto.Size(m); size > MaxMark {
		return tooLarge(size)
	}
	return nil
}

// room makes what follows the last mark zeros, on disk, for so many bytes at least. Zeros are written, where the system might
// offer to allocate room unwritten: overwriting them later changes nothing but data, and so is quicker to sync.
func (f *File) room(size int64) error {
	if err := f.settle(); err != nil {
		return err
	}
	need := f.end + size
	if need <= f.clean {
		return nil
	}
	if need > MaxSize {
		err := fmt.Errorf("it would have %d bytes, the most is %d: see to what keeps it from being made shorter", need, MaxSize)
		return errors.Join(err, f.compacted)
	}
	err := f.zero(max(roundUp(need, chunk), f.used))
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		err = f.zero(max(roundUp(need, block), f.used))
	}
	return err
}

func (f *File) zero(to int64) error {
	err := f.writeZeros(f.clean, to)
	if err == nil {
		err = f.disk.sync(f.file)
	}
	if err != nil {
		// Whatever room it took is given back. If this fails too, it is zeros.
		_ = f.file.Truncate(f.size)
		return err
	}
	f.clean, f.size = to, max(f.size, to)
	return nil
}

func (f *File) writeZeros(from, to int64) error {
	for from < to {
		n := min(to-from, chunk)
		if err := f.disk.write(f.file, zeros[:n], from); err != nil {
			return err
		}
		from += n
	}
	return nil
}

func roundUp(n, step int64) int64 { return (n + step - 1) / step * step }
