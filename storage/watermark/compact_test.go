package watermark

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

// shortened expects a file whose marks are the newest of all, and whose base knows what the others revoked.
func shortened(t failer, c *Contents, all []*logv1.Mark) {
	t.Helper()
	dropped := len(all) - len(c.Marks)
	if c.Damage != nil || c.Torn || dropped < 0 {
		t.Fatalf("damage %v, torn %t, %d marks of %d", c.Damage, c.Torn, len(c.Marks), len(all))
	}
	same(t, c.Marks[1:], all[dropped+1:])
	gone := Contents{Marks: all[:dropped+1]}
	if got := c.Marks[0]; !proto.Equal(got.Position, gone.Last()) || !proto.Equal(got.At, all[dropped].At) {
		t.Fatalf("the base is %v, %v; want %v, %v", got.Position, got.At, gone.Last(), all[dropped].At)
	}
	revoked := slices.Sorted(slices.Values(keys(gone.After(-1).Revoked)))
	if got := c.Marks[0].Revoked; !slices.Equal(got, revoked) {
		t.Fatalf("the base has %v, want %v", got, revoked)
	}
}

func TestGrownFileIsMadeShorter(t *testing.T) {
	path := file(t)
	all := []*logv1.Mark{base(1, "key_old")}
	f := created(t, path, all[0])
	f.Limit = 10_000
	before, largest := 0, int64(0)
	compactions := 0
	for revision := uint64(2); revision < 400; revision++ {
		m := mark(revision, putKey(t, "key_"+strconv.Itoa(int(revision)), revision%3 == 0, 200))
		must(t, f.Reserve(m))
		must(t, f.Compaction())
		must(t, f.Append(m))
		all = append(all, m)
		c := contents(t, path)
		shortened(t, c, all)
		if len(c.Marks) < before {
			compactions++
			if kept := c.end - c.ends[0]; kept < f.Limit/3 || kept > f.Limit*2/3 {
				t.Errorf("%d bytes of marks were kept", kept)
			}
		}
		before, largest = len(c.Marks), max(largest, c.end-c.ends[0])
		if revision%50 == 0 {
			must(t, f.Moved())
			must(t, f.Close())
			var err error
			f, err = Open(path, c)
			must(t, err)
			f.Limit = 10_000
		}
	}
	must(t, f.Close())
	if compactions < 10 || largest > 10_000 {
		t.Errorf("%d compactions, at most %d bytes of marks", compactions, largest)
	}
}

func TestLargestMarkStays(t *testing.T) {
	path := file(t)
	all := []*logv1.Mark{base(1)}
	f := closed(t, created(t, path, all[0]))
	f.Limit = 1000
	for revision := uint64(2); revision < 20; revision++ {
		all = append(all, mark(revision, putKey(t, "key_a", false, 3000)))
		must(t, f.Reserve(all[len(all)-1]))
		must(t, f.Append(all[len(all)-1]))
		c := contents(t, path)
		shortened(t, c, all)
		if len(c.Marks) > 3 {
			t.Fatalf("%d marks stay", len(c.Marks))
		}
	}
}

// With more revoked keys than the limit has room for, the file isn't rewritten at each revision.
func TestBaseCountsApart(t *testing.T) {
	path := file(t)
	first := base(1)
	for i := range 1000 {
		first.Revoked = append(first.Revoked, "key_"+strconv.Itoa(i))
	}
	f := closed(t, created(t, path, first))
	f.Limit = 2000
	renames := 0
	rename := f.disk.rename
	f.disk.rename = func(from, to string) error {
		renames++
		return rename(from, to)
	}
	for revision := uint64(2); revision < 202; revision++ {
		must(t, f.Reserve(mark(revision)))
		must(t, f.Append(mark(revision)))
	}
	if renames < 5 || renames > 30 {
		t.Errorf("%d compactions in 200 marks of %d bytes", renames, proto.Size(mark(2)))
	}
}

func TestFailedCompaction(t *testing.T) {
	path := file(t)
	all := []*logv1.Mark{base(1)}
	f := closed(t, created(t, path, all[0]))
	f.Limit = 2000
	refused, attempts := errors.New("refused"), 0
	f.disk.rename = func(string, string) error {
		attempts++
		return refused
	}
	grow := func(to uint64) {
		t.Helper()
		for revision := uint64(len(all) + 1); revision < to; revision++ {
			all = append(all, mark(revision))
			must(t, f.Reserve(mark(revision)))
			must(t, f.Append(mark(revision)))
		}
	}
	grow(100)
	whole(t, path, all)
	if err := f.Compaction(); !errors.Is(err, refused) || !strings.Contains(err.Error(), path) {
		t.Errorf("compaction: %v", err)
	}
	if attempts < 2 || attempts > 50 {
		t.Errorf("%d attempts", attempts)
	}
	if _, err := os.Stat(path + suffix); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a leftover stays: %v", err)
	}
	f.disk.rename = os.Rename
	grow(110)
	must(t, f.Compaction())
	c := contents(t, path)
	shortened(t, c, all)
	if len(c.Marks) > 60 {
		t.Errorf("%d marks stay", len(c.Marks))
	}
}

// What is missing from a damaged file stays missing in sight.
func TestDamagedFileIsNotMadeShorter(t *testing.T) {
	path := file(t)
	f := created(t, path, base(1))
	must(t, f.Append(mark(2)))
	must(t, f.Append(mark(3)))
	must(t, f.Close())
	b := bytesOf(t, path)
	b[contents(t, path).ends[0]]++
	must(t, os.WriteFile(path, b, 0o600))
	c := contents(t, path)
	f, err := Open(path, c)
	must(t, err)
	closed(t, f)
	f.Limit = 500
	for revision := uint64(4); revision < 50; revision++ {
		must(t, f.Reserve(mark(revision)))
		must(t, f.Append(mark(revision)))
	}
	if err := f.Compaction(); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("compaction: %v", err)
	}
	if c = contents(t, path); c.Damage == nil || len(c.Marks) != 48 {
		t.Errorf("damage %v, %d marks", c.Damage, len(c.Marks))
	}
}
