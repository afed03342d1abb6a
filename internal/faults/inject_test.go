//go:build linux && (amd64 || arm64)

package faults_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/latchkey/latchkey/internal/faults"
)

// deeds are all the calls that can fail, each as Go code makes it. Each finds a folder with a file "old" of eight bytes, open
// as f.
var deeds = []struct {
	name     string
	path, to string // relative to the folder
	do       func(dir string, f *os.File) error
}{
	{"write", "old", "", func(_ string, f *os.File) error { _, err := f.WriteString("new!"); return err }},
	{"pwrite64", "old", "", func(_ string, f *os.File) error { _, err := f.WriteAt([]byte("new!"), 4); return err }},
	{"copy_file_range", "old", "", func(_ string, f *os.File) error {
		in, err := os.Open(os.Args[0])
		if err != nil {
			return err
		}
		defer in.Close()
		_, err = io.CopyN(f, in, 1000)
		return err
	}},
	{"sendfile", "old", "", func(_ string, f *os.File) error {
		in, err := os.Open(os.Args[0])
		if err != nil {
			return err
		}
		defer in.Close()
		_, err = unix.Sendfile(int(f.Fd()), int(in.Fd()), nil, 1000)
		return err
	}},
	{"ftruncate", "old", "", func(_ string, f *os.File) error { return f.Truncate(3) }},
	{"fallocate", "old", "", func(_ string, f *os.File) error { return unix.Fallocate(int(f.Fd()), 0, 0, 10000) }},
	{"fsync", "old", "", func(_ string, f *os.File) error { return f.Sync() }},
	{"fsync", ".", "", func(dir string, _ *os.File) error {
		folder, err := os.Open(dir)
		if err != nil {
			return err
		}
		defer folder.Close()
		return folder.Sync()
	}},
	{"fdatasync", "old", "", func(_ string, f *os.File) error { return unix.Fdatasync(int(f.Fd())) }},
	{"openat", "new", "", func(dir string, _ *os.File) error {
		f, err := os.Create(filepath.Join(dir, "new"))
		if err == nil {
			err = f.Close()
		}
		return err
	}},
	{"openat2", "new", "", func(dir string, _ *os.File) error {
		fd, err := unix.Openat2(unix.AT_FDCWD, filepath.Join(dir, "new"), &unix.OpenHow{Flags: unix.O_CREAT | unix.O_WRONLY, Mode: 0o600})
		if err == nil {
			err = unix.Close(fd)
		}
		return err
	}},
	{"renameat", "old", "new", func(dir string, _ *os.File) error {
		return os.Rename(filepath.Join(dir, "old"), filepath.Join(dir, "new"))
	}},
	{"renameat2", "old", "new", func(dir string, _ *os.File) error {
		return unix.Renameat2(unix.AT_FDCWD, filepath.Join(dir, "old"), unix.AT_FDCWD, filepath.Join(dir, "new"), unix.RENAME_NOREPLACE)
	}},
	{"linkat", "old", "new", func(dir string, _ *os.File) error {
		return os.Link(filepath.Join(dir, "old"), filepath.Join(dir, "new"))
	}},
	{"unlinkat", "old", "", func(dir string, _ *os.File) error { return os.Remove(filepath.Join(dir, "old")) }},
	{"mkdirat", "new", "", func(dir string, _ *os.File) error { return os.Mkdir(filepath.Join(dir, "new"), 0o700) }},
}

func TestEveryCallCanFail(t *testing.T) {
	inChild(t, func() {
		for _, deed := range deeds {
			t.Run(deed.name+" "+deed.path, func(t *testing.T) {
				dir, f := folderWithFile(t)
				before := contents(t, dir)
				want := faults.Call{Name: deed.name, Path: filepath.Join(dir, deed.path), N: 1}
				if deed.to != "" {
					want.To = filepath.Join(dir, deed.to)
				}

				fault := faults.Fault{Errno: syscall.EDQUOT}
				inject(t, dir, faults.Nth(1, fault))
				err := deed.do(dir, f)
				inject(t, "", nil)
				if !errors.Is(err, syscall.EDQUOT) {
					t.Errorf("failed with %v, want %v", err, syscall.EDQUOT)
				}
				if seen := faults.Seen(); len(seen) == 0 || seen[0] != (faults.Event{Call: want, Fault: fault}) {
					t.Errorf("saw %+v, want %+v first", seen, want)
				}
				if after := contents(t, dir); after != before {
					t.Errorf("a failed call left %q of %q", after, before)
				}

				inject(t, dir, faults.Nth(1000, fault))
				err = deed.do(dir, f)
				inject(t, "", nil)
				if err != nil {
					t.Errorf("without a fault it fails: %v", err)
				}
				if seen := faults.Seen(); len(seen) == 0 || seen[0] != (faults.Event{Call: want}) {
					t.Errorf("saw %+v, want %+v first", seen, want)
				}
				if after := contents(t, dir); after == before && !strings.Contains(deed.name, "sync") {
					t.Errorf("a call that was let through changed nothing: %q", after)
				}
			})
		}
	})
}

// folderWithFile makes a folder without symbolic links in its name, and the file that deeds work on.
func folderWithFile(t *testing.T) (string, *os.File) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "old"), []byte("8 bytes."), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "old"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return dir, f
}

// contents are the names in a folder, each with what is in it.
func contents(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, e := range entries {
		all.WriteString(e.Name() + ":")
		if e.Type().IsRegular() {
			data, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			all.Write(data)
		}
		all.WriteByte('\n')
	}
	return all.String()
}

func TestHalfAWrite(t *testing.T) {
	inChild(t, func() {
		for _, test := range []struct {
			name  string
			at    bool
			fault faults.Fault
			want  string
			calls int
		}{
			{"write, then an error", false, faults.Fault{Errno: syscall.ENOSPC, Half: true}, "newtes.", 1},
			{"pwrite64, then an error", true, faults.Fault{Errno: syscall.ENOSPC, Half: true}, "8 bnewb", 1},
			{"write, told so: the rest follows", false, faults.Fault{Half: true}, "newbe.", 2},
			{"pwrite64, told so: the rest follows", true, faults.Fault{Half: true}, "8 bnewbe", 2},
		} {
			t.Run(test.name, func(t *testing.T) {
				dir, f := folderWithFile(t)
				inject(t, dir, faults.Nth(1, test.fault))
				var n int
				var err error
				if test.at {
					n, err = f.WriteAt([]byte("newbe."), 3)
				} else {
					n, err = f.WriteString("newbe.")
				}
				inject(t, "", nil)
				wantN, want := 6, "newbe.s."
				if test.at {
					want = "8 bnewbe."
				}
				if test.fault.Errno != 0 {
					wantN, want = 0, "newytes."
					if test.at {
						want = "8 bnews."
					}
				}
				if n != wantN || (err == nil) != (test.fault.Errno == 0) || err != nil && !errors.Is(err, test.fault.Errno) {
					t.Errorf("got %d, %v, want %d, %v", n, err, wantN, test.fault.Errno)
				}
				got, err := os.ReadFile(f.Name())
				if err != nil || string(got) != want {
					t.Errorf("the file is %q (%v), want %q", got, err, want)
				}
				if calls := names(faults.Seen()); len(calls) != test.calls {
					t.Errorf("saw %v, want %d calls", calls, test.calls)
				}
			})
		}
	})
}

func TestOutsideIsUntouched(t *testing.T) {
	inChild(t, func() {
		parent, err := filepath.EvalSymlinks(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		dir, link, beside := filepath.Join(parent, "dir"), filepath.Join(parent, "link"), filepath.Join(parent, "dir-beside")
		for _, folder := range []string{dir, beside} {
			if err := os.Mkdir(folder, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(dir, link); err != nil {
			t.Fatal(err)
		}
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		defer w.Close()

		inject(t, link, faults.From(1, faults.Fault{Errno: syscall.EIO}))
		outside := filepath.Join(beside, "file")
		errOutside := os.WriteFile(outside, []byte("x"), 0o600)
		_, errPipe := w.WriteString("x")
		_, errOutput := os.Stdout.WriteString("\n")
		_, errRead := os.ReadFile(outside)
		_, errList := os.ReadDir(dir)
		if seen := faults.Seen(); len(seen) != 0 {
			t.Errorf("counted %+v, none of which is below the folder", seen)
		}
		// All the ways to say where something is lead to the same place.
		t.Chdir(dir)
		inside := []error{
			os.WriteFile("relative", nil, 0o600),
			os.WriteFile(filepath.Join(link, "linked"), nil, 0o600),
			os.WriteFile(filepath.Join(beside, "..", "dir", "around"), nil, 0o600),
			os.Rename(outside, filepath.Join(dir, "moved in")),
		}
		inject(t, "", nil)

		if err := errors.Join(errOutside, errPipe, errOutput, errRead, errList); err != nil {
			t.Errorf("failed outside: %v", err)
		}
		for i, err := range inside {
			if !errors.Is(err, syscall.EIO) {
				t.Errorf("way %d into the folder: %v, want %v", i, err, syscall.EIO)
			}
		}
		var got []string
		for _, e := range faults.Seen() {
			got = append(got, e.Name+" "+filepath.Base(e.Path))
		}
		if want := []string{"openat relative", "openat linked", "openat around", "renameat file"}; !slices.Equal(got, want) {
			t.Errorf("saw %q, want %q", got, want)
		}
	})
}
