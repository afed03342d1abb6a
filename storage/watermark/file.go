package watermark

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

// Name is the file's name in the data folder.
const Name = "latchkey.watermark"

// suffix is of the name under which a file is written before it takes its place.
const suffix = ".new"

const mode = 0o600

// ErrMoved is returned when the path names another file, or none.
var ErrMoved = errors.New("the watermark was removed, replaced or cut off under the running process: put the file back")

// File is a watermark that marks are appended to. Its methods are safe for concurrent use; at most one File, in one process,
// may be open for a path, which is for the caller to see to.
type File struct {
	// Limit is how many bytes of marks a file may have, apart from its base, before Reserve makes it shorter. It is
	// DefaultLimit unless it is set before the first use.
	Limit int64

	mu   sync.Mutex
	disk disk
	path string
	file *os.File
	salt salt
	last *logv1.Position

	base     int64 // where the first mark ends
	end      int64 // where the last mark ends, and the next one begins
	clean    int64 // from end up to here there are zeros, on disk
	used     int64 // if it is beyond clean: up to here there may be something else
	size     int64
	unsynced bool // whether a crash may still put the file before this one back

	retry     int64 // below this end no compaction is tried
	compacted error // of the last compaction
}

// Create makes a file with a base, in the place of any that is there. It is made whole or not at all, durably; after an error
// the older file may have been replaced nevertheless.
func Create(path string, base *logv1.Mark) (*File, error) { return create(system, path, base) }

func create(d disk, path string, base *logv1.Mark) (*File, error) {
	if err := follows(nil, base); err != nil {
		return nil, err
	}
	f := &File{Limit: DefaultLimit, disk: d, path: path}
	if err := f.replace([]*logv1.Mark{base}, 0); err != nil {
		return nil, fmt.Errorf("creating the watermark: %w", err)
	}
	if err := f.settle(); err != nil {
		return nil, errors.Join(err, f.file.Close())
	}
	return f, nil
}

// Open opens a file to append after the last whole mark of its contents, which were just read. What follows that mark is
// overwritten by the first append. Other users' rights to the file are taken away.
func Open(path string, c *Contents) (*File, error) { return reopen(system, path, c) }

func reopen(d disk, path string, c *Contents) (*File, error) {
	if len(c.Marks) == 0 {
		return nil, fmt.Errorf("the watermark %s holds no whole mark to go on from: create it anew", path)
	}
	file, info, err := open(path, os.O_RDWR)
	if err != nil {
		return nil, err
	}
	f := &File{
		Limit: DefaultLimit, disk: d, path: path, file: file, salt: c.salt, last: c.Last(),
		base: c.ends[0], end: c.end, size: c.size, unsynced: true,
		// The zeros that were found may be a hole without room behind it, or not yet be on the disk.
		clean: c.end, used: c.size,
	}
	if err := f.take(c, info); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the watermark %s: %w", path, err), file.Close())
	}
	return f, nil
}

// take makes sure that what was read is this file's, private, and on disk: whoever wrote it may have died before it was.
func (f *File) take(c *Contents, info os.FileInfo) error {
	if !os.SameFile(info, c.info) || info.Size() != c.size {
		return errors.New("it changed since it was read: try again")
	}
	if info.Mode().Perm() != mode {
		if err := f.file.Chmod(mode); err != nil {
			return err
		}
	}
	if err := os.Remove(f.path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := f.rewrite(c); err != nil {
		return err
	}
	return f.settle()
}

// rewrite writes the last mark once more, as it is, and syncs. What was read of it may never have come to the disk: the system
// shows what it failed to write, and says so to one sync alone, which may have been that of a process before this one.
func (f *File) rewrite(c *Contents) error {
	from := int64(headerSize)
	if n := len(c.ends); n > 1 {
		from = c.ends[n-2]
	}
	b := make([]byte, c.end-from)
	if _, err := f.file.ReadAt(b, from); err != nil {
		return err
	}
	if err := f.disk.write(f.file, b, from); err != nil {
		return err
	}
	return f.disk.sync(f.file)
}

// settle makes the file's name durable.
func (f *File) settle() error {
	if !f.unsynced {
		return nil
	}
	if err := f.disk.syncFolder(filepath.Dir(f.path)); err != nil {
		return fmt.Errorf("syncing the folder of the watermark %s: %w", f.path, err)
	}
	f.unsynced = false
	return nil
}

// Moved returns nil, or an error that is ErrMoved if the path names another file than this one, or none.
func (f *File) Moved() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.moved()
}

func (f *File) moved() error {
	mine, err := f.file.Stat()
	if err != nil {
		return err
	}
	there, err := os.Lstat(f.path)
	if errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(mine, there) {
		return fmt.Errorf("%s: %w", f.path, ErrMoved)
	}
	if mine.Size() < f.end {
		return fmt.Errorf("%s: %w: it was cut off at %d bytes, and had %d", f.path, ErrMoved, mine.Size(), f.end)
	}
	return err
}

// Close closes the file. All that was appended is durable already.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Close()
}
