package watermark

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

// DefaultLimit is the Limit of a File: some fifty thousand marks of one key each.
const DefaultLimit = 16 << 20

// Compaction returns why the last attempt to make the file shorter failed; nil if it didn't, or there was none. Marks are
// appended nevertheless, and it is tried again later.
func (f *File) Compaction() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.compacted
}

// keepShort makes the file shorter if a mark of some size would bring it beyond its limit.
func (f *File) keepShort(size int64) {
	if f.end+size <= max(f.base+f.Limit, f.retry) {
		return
	}
	f.compacted = nil
	if err := f.compact(size); err != nil {
		f.compacted = fmt.Errorf("making the watermark %s shorter: %w", f.path, err)
	}
	// It reads the whole file: not with each mark, should it fail or be of no help.
	f.retry = f.end + f.Limit/8
}

// compact puts a file in this one's place that has the newest marks, of half the limit, with room for one more. What it drops
// becomes the new base. A damaged file is left as it is: the new one would hide that something is missing.
func (f *File) compact(room int64) error {
	if err := f.moved(); err != nil {
		return err // what is there now is somebody else's
	}
	c, err := read(f.file, f.end)
	if err != nil {
		return err
	}
	switch {
	case c.Damage != nil:
		return fmt.Errorf("it is damaged: %w", c.Damage)
	case c.Torn || c.end != f.end:
		return fmt.Errorf("byte %d: marks that were written aren't there any more", c.end)
	}
	from := len(c.Marks) - 1 // the newest stays, however large it is
	for from > 1 && f.end-c.ends[from-2] <= f.Limit/2 {
		from--
	}
	if from <= 1 {
		return nil // nothing but the base would go
	}
	dropped := Contents{Marks: c.Marks[:from]}
	newest := c.Marks[from-1]
	base := &logv1.Mark{
		Position: newest.GetPosition(), At: newest.GetAt(), Action: newest.GetAction(),
		Revoked: slices.Sorted(maps.Keys(dropped.After(-1).Revoked)),
	}
	return f.replace(append([]*logv1.Mark{base}, c.Marks[from:]...), room)
}

// replace puts a file with these marks, and room for some bytes after them, in the place of the one at the path, and goes on
// with it. The caller has the name made durable. After an error the File is as it was.
func (f *File) replace(marks []*logv1.Mark, room int64) error {
	s := newSalt()
	b := header(s)
	base := int64(0)
	for _, m := range marks {
		var err error
		if b, err = s.appendFrame(b, int64(len(b)), m); err != nil {
			return err
		}
		if base == 0 {
			base = int64(len(b))
		}
	}
	end := int64(len(b))
	size := roundUp(end+room, chunk)
	file, err := f.writeNew(append(b, make([]byte, size-end)...))
	if err != nil {
		return err
	}
	if f.file != nil {
		_ = f.file.Close() // has no name any more
	}
	f.file, f.salt, f.last = file, s, marks[len(marks)-1].GetPosition()
	f.base, f.end, f.clean, f.used, f.size = base, end, size, end, size
	f.unsynced = true
	return nil
}

// writeNew writes a file under another name, makes it durable, and renames it.
func (f *File) writeNew(b []byte) (*os.File, error) {
	name := f.path + suffix
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|noFollow, mode)
	if err != nil {
		return nil, err
	}
	err = file.Chmod(mode) // whatever the umask is
	if err == nil {
		err = f.disk.write(file, b, 0)
	}
	if err == nil {
		err = f.disk.sync(file)
	}
	if err == nil {
		err = f.disk.rename(name, f.path)
	}
	if err != nil {
		_ = os.Remove(name) // or by the next one
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
