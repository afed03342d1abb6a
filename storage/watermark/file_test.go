package watermark

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

func TestMarksAreReadAsWritten(t *testing.T) {
	path := file(t)
	if _, err := Read(path); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("no file: %v", err)
	}
	want := []*logv1.Mark{base(7, "key_a", "key_b")}
	f, err := Create(path, want[0])
	must(t, err)
	c := whole(t, path, want)
	for revision := uint64(8); revision < 30; revision++ {
		m := mark(revision, putKey(t, "key_c", revision > 20, int(revision)*100))
		if revision%2 == 0 {
			must(t, f.Reserve(m))
		}
		must(t, f.Append(m))
		want = append(want, m)
		c = whole(t, path, want)
		if revision%10 == 0 {
			must(t, f.Close())
			f, err = Open(path, c)
			must(t, err)
		}
	}
	must(t, f.Close())
	for i, m := range want {
		if !proto.Equal(c.Marks[i].GetPosition(), m.GetPosition()) {
			t.Errorf("mark %d is at %v, want %v", i, c.Marks[i].GetPosition(), m.GetPosition())
		}
	}
	if !proto.Equal(c.Last(), position(1, 29)) {
		t.Errorf("last is %v", c.Last())
	}
}

func created(t failer, path string, m *logv1.Mark) *File {
	t.Helper()
	f, err := Create(path, m)
	must(t, err)
	return f
}

func TestAfter(t *testing.T) {
	path := file(t)
	tenant := func(value string) *logv1.Put {
		return &logv1.Put{Kind: logv1.Kind_KIND_TENANT, Name: "org:o_1", Value: []byte(value)}
	}
	f := closed(t, created(t, path, base(1, "key_old")))
	must(t, f.Append(mark(2, putKey(t, "key_a", false, 0), tenant("one"))))
	must(t, f.Append(mark(3, putKey(t, "key_a", true, 0), putKey(t, "key_b", false, 0))))
	must(t, f.Append(mark(4, tenant("two"), &logv1.Put{Kind: logv1.Kind_KIND_KEY, Name: "key_gone", Removed: true})))
	must(t, f.Append(mark(5, &logv1.Put{Kind: logv1.Kind_KIND_KEY, Name: "key_odd", Value: []byte{0xff}})))
	c := contents(t, path)
	for i, want := range map[int]string{
		-1: "key_a key_b key_gone key_odd org:o_1=two | key_a key_gone key_odd key_old",
		0:  "key_a key_b key_gone key_odd org:o_1=two | key_a key_gone key_odd",
		1:  "key_a key_b key_gone key_odd org:o_1=two | key_a key_gone key_odd",
		2:  "key_gone key_odd org:o_1=two | key_gone key_odd",
		4:  " | ",
	} {
		changes := c.After(i)
		var puts []string
		for object, put := range changes.Puts {
			if object.Kind == logv1.Kind_KIND_TENANT {
				object.Name += "=" + string(put.Value)
			}
			puts = append(puts, object.Name)
		}
		if got := sorted(puts) + " | " + sorted(keys(changes.Revoked)); got != want {
			t.Errorf("after %d: %s, want %s", i, got, want)
		}
	}
}

func TestRefusedMarks(t *testing.T) {
	path := file(t)
	f := closed(t, created(t, path, base(3)))
	for name, m := range map[string]*logv1.Mark{
		"no position":    {},
		"same position":  mark(3),
		"lower revision": mark(2),
		"lower epoch":    {Position: position(0, 9)},
		"a second base":  base(4, "key_a"),
	} {
		if err := f.Reserve(m); err == nil {
			t.Errorf("%s: reserved", name)
		}
		if err := f.Append(m); err == nil {
			t.Errorf("%s: appended", name)
		}
	}
	whole(t, path, []*logv1.Mark{base(3)})
	if _, err := Create(path, &logv1.Mark{}); err == nil {
		t.Error("created a file without a position")
	}
	must(t, f.Append(&logv1.Mark{Position: position(2, 1)})) // a new lineage
}

func TestOnlyRegularFiles(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	must(t, created(t, target, base(1)).Close())
	c := contents(t, target)
	link, folder, pipe := filepath.Join(dir, "link"), filepath.Join(dir, "folder"), filepath.Join(dir, "pipe")
	must(t, os.Symlink(target, link))
	must(t, os.Mkdir(folder, 0o700))
	makePipe(t, pipe)
	for _, path := range []string{link, folder, pipe} {
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "regular") {
			t.Errorf("reading %s: %v", path, err)
		}
		if _, err := Open(path, c); err == nil || !strings.Contains(err.Error(), "regular") {
			t.Errorf("opening %s: %v", path, err)
		}
	}
	// A new file takes the link's place, and leaves alone what it led to.
	must(t, created(t, link, base(5)).Close())
	whole(t, link, []*logv1.Mark{base(5)})
	whole(t, target, []*logv1.Mark{base(1)})
}

func TestModeAndLeftovers(t *testing.T) {
	path := file(t)
	leftover := func() {
		t.Helper()
		must(t, os.WriteFile(path+suffix, []byte("half a file"), 0o644))
	}
	check := func(when string) {
		t.Helper()
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v", when, info.Mode())
		}
		if _, err := os.Lstat(path + suffix); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: a leftover stays: %v", when, err)
		}
	}
	leftover()
	must(t, created(t, path, base(1)).Close())
	check("created")
	must(t, os.Chmod(path, 0o644))
	leftover()
	f, err := Open(path, contents(t, path))
	must(t, err)
	closed(t, f)
	check("opened")
}

func TestMoved(t *testing.T) {
	for name, move := range map[string]func(path string) error{
		"unlinked": os.Remove,
		"renamed":  func(path string) error { return os.Rename(path, path+".old") },
		"replaced": func(path string) error {
			return errors.Join(os.WriteFile(path+".other", bytesOf(t, path), 0o600), os.Rename(path+".other", path))
		},
		"linked": func(path string) error {
			return errors.Join(os.Rename(path, path+".old"), os.Symlink(path+".old", path))
		},
	} {
		path := file(t)
		f := closed(t, created(t, path, base(1)))
		must(t, f.Moved())
		must(t, move(path))
		if err := f.Moved(); !errors.Is(err, ErrMoved) {
			t.Errorf("%s: %v", name, err)
		}
		if err := f.Reserve(mark(2)); !errors.Is(err, ErrMoved) {
			t.Errorf("%s: room in a file that nobody will find: %v", name, err)
		}
	}
}

func TestOpenWantsWhatWasRead(t *testing.T) {
	path := file(t)
	f := closed(t, created(t, path, base(1)))
	c := contents(t, path)
	must(t, f.Append(mark(2, putKey(t, "key_a", false, 2*chunk))))
	if _, err := Open(path, c); err == nil {
		t.Error("opened a file that grew since")
	}
	c = contents(t, path)
	must(t, created(t, path, base(1)).Close())
	if _, err := Open(path, c); err == nil {
		t.Error("opened another file than was read")
	}
	must(t, os.WriteFile(path, nil, 0o600))
	if _, err := Open(path, contents(t, path)); err == nil {
		t.Error("opened a file without a mark")
	}
}

func TestErrorsSayWhere(t *testing.T) {
	path := file(t)
	f := created(t, path, base(1))
	must(t, f.Close())
	for _, err := range []error{f.Append(mark(2)), f.Close()} {
		if !errors.Is(err, os.ErrClosed) || !strings.Contains(fmt.Sprint(err), path) {
			t.Errorf("closed: %v", err)
		}
	}
}
