package watermark

import (
	"errors"
	"os"
	"strings"
	"testing"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

// faulty is the disk with the nth step failing.
func faulty(n int) (d disk, fired *bool) {
	fired = new(bool)
	step := func() error {
		if n--; n == 0 {
			*fired = true
			return errFault
		}
		return nil
	}
	return disk{
		write: func(f *os.File, b []byte, at int64) error { return errors.Join(step(), system.write(f, b, at)) },
		sync:  func(*os.File) error { return step() },
		rename: func(from, to string) error {
			if err := step(); err != nil {
				return err
			}
			return system.rename(from, to)
		},
		syncFolder: func(string) error { return step() },
	}, fired
}

// Every step fails once: the error is told or makes no difference, and doing the same again does it.
func TestEveryStepFailsOnce(t *testing.T) {
	for n := 1; ; n++ {
		path := file(t)
		d, fired := faulty(n)
		told := false
		// again does something until it succeeds.
		again := func(do func() error) {
			t.Helper()
			for range 2 {
				err := do()
				if err == nil {
					return
				}
				if told || !errors.Is(err, errFault) || !strings.Contains(err.Error(), "watermark") {
					t.Fatalf("step %d: %v", n, err)
				}
				told = true
			}
		}
		all := []*logv1.Mark{base(1, "key_old")}
		var f *File
		again(func() (err error) {
			f, err = create(d, path, all[0])
			return err
		})
		for revision := uint64(2); revision < 30; revision++ {
			f.Limit = 1000
			m := mark(revision, putKey(t, "key_a", revision == 5, 0))
			again(func() error { return f.Reserve(m) })
			if err := f.Compaction(); err != nil {
				if told || !errors.Is(err, errFault) || !strings.Contains(err.Error(), "watermark") {
					t.Fatalf("step %d: %v", n, err)
				}
				told = true
			}
			again(func() error { return f.Append(m) })
			all = append(all, m)
			shortened(t, contents(t, path), all)
			if revision%10 == 0 {
				must(t, f.Close())
				c := contents(t, path)
				again(func() (err error) {
					f, err = reopen(d, path, c)
					return err
				})
			}
		}
		must(t, f.Close())
		if !*fired {
			if n < 60 {
				t.Errorf("only %d steps", n)
			}
			t.Logf("%d steps", n-1)
			return
		}
		if !told {
			t.Errorf("step %d failed in silence", n)
		}
	}
}

// Until the folder is synced a crash can bring back the file before: nothing may be acknowledged in the new one.
func TestNothingIsAppendedBeforeTheNameIsDurable(t *testing.T) {
	path := file(t)
	f := closed(t, created(t, path, base(1)))
	f.Limit = 500
	renamed, refusing := false, true
	f.disk.rename = func(from, to string) error {
		renamed = true
		return os.Rename(from, to)
	}
	f.disk.syncFolder = func(dir string) error {
		if refusing {
			return errFault
		}
		return system.syncFolder(dir)
	}
	revision := uint64(2)
	for ; !renamed; revision++ {
		err := f.Reserve(mark(revision))
		if !renamed {
			must(t, err)
			must(t, f.Append(mark(revision)))
			continue
		}
		if !errors.Is(err, errFault) {
			t.Fatalf("reserved: %v", err)
		}
		if err := f.Append(mark(revision)); !errors.Is(err, errFault) {
			t.Fatalf("appended: %v", err)
		}
		refusing = false
		must(t, f.Reserve(mark(revision)))
		must(t, f.Append(mark(revision)))
	}
}

// A rename that was done is told as one that wasn't: the file that is written to has no name any more.
func TestRenameThatFailsAndIsDone(t *testing.T) {
	path := file(t)
	f := closed(t, created(t, path, base(1)))
	f.Limit = 500
	renamed := false
	f.disk.rename = func(from, to string) error {
		renamed = true
		return errors.Join(os.Rename(from, to), errFault)
	}
	for revision := uint64(2); ; revision++ {
		err := f.Reserve(mark(revision))
		if renamed {
			if !errors.Is(err, ErrMoved) {
				t.Fatalf("reserved: %v", err)
			}
			return
		}
		must(t, err)
		must(t, f.Append(mark(revision)))
	}
}
