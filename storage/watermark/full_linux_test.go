package watermark

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

// ownMounts, in the environment, says that this process may mount what it likes: nobody else sees it.
const ownMounts = "LATCHKEY_WATERMARK_TEST_OWN_MOUNTS"

// TestFullDisk runs itself once more in namespaces of its own, where it mounts a small disk.
func TestFullDisk(t *testing.T) {
	if os.Getenv(ownMounts) != "" {
		fullDisk(t)
		return
	}
	self, err := os.Executable()
	must(t, err)
	child := exec.Command(self, "-test.run=^TestFullDisk$", "-test.v")
	child.Env = append(os.Environ(), ownMounts+"=1")
	child.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := child.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Skipf("this system doesn't let a process have its own namespaces: %v", err)
	}
	if strings.Contains(string(out), "--- SKIP") {
		t.Skipf("%s", out)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// smallDisk is a disk of some size, and a file that takes up its room.
type smallDisk struct {
	t       *testing.T
	dir     string
	ballast *os.File
	size    int64
}

func newSmallDisk(t *testing.T, options string) *smallDisk {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("this system doesn't let a process mount in its own namespace: %v", err)
	}
	ballast, err := os.Create(filepath.Join(dir, "ballast"))
	must(t, err)
	t.Cleanup(func() {
		must(t, ballast.Close())
		must(t, unix.Unmount(dir, unix.MNT_DETACH))
	})
	return &smallDisk{t: t, dir: dir, ballast: ballast}
}

// leave takes up all room but so many bytes.
func (d *smallDisk) leave(free int64) {
	d.t.Helper()
	b := make([]byte, 4096)
	for {
		n, err := d.ballast.WriteAt(b, d.size)
		d.size += int64(n)
		if errors.Is(err, unix.ENOSPC) {
			break
		}
		must(d.t, err)
	}
	d.size = max(0, d.size-free)
	must(d.t, d.ballast.Truncate(d.size))
}

func fullDisk(t *testing.T) {
	d := newSmallDisk(t, "size=1m,mode=0700")
	path := filepath.Join(d.dir, Name)
	if _, err := Create(path, base(1)); err != nil {
		t.Fatal(err)
	}
	d.leave(0)
	if _, err := Create(path, base(9)); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("created on a full disk: %v", err)
	}
	all := []*logv1.Mark{base(1)}
	f, err := Open(path, whole(t, path, all))
	must(t, err)
	f.Limit = 100_000
	var refused, reserved, notShortened int
	for revision := uint64(2); revision < 402; revision++ {
		m := mark(revision, putKey(t, "key_a", revision%7 == 0, int(revision*97%20_000)))
		d.leave(int64(revision*13%8) * 4096)
		err := f.Reserve(m)
		d.leave(0)
		if err != nil {
			refused++
			if !errors.Is(err, unix.ENOSPC) {
				t.Fatalf("revision %d: %v", revision, err)
			}
			if err := f.Append(m); !errors.Is(err, unix.ENOSPC) {
				t.Fatalf("revision %d: appended without room: %v", revision, err)
			}
			shortened(t, contents(t, path), all)
			d.leave(200_000) // room is back
			must(t, f.Reserve(m))
			d.leave(0)
		} else {
			reserved++
		}
		if f.Compaction() != nil {
			notShortened++
			if !errors.Is(f.Compaction(), unix.ENOSPC) {
				t.Fatal(f.Compaction())
			}
		}
		must(t, f.Append(m))
		all = append(all, m)
		c := contents(t, path)
		shortened(t, c, all)
		if revision%100 == 0 {
			must(t, f.Close())
			f, err = Open(path, c)
			must(t, err)
			f.Limit = 100_000
		}
	}
	must(t, f.Compaction())
	must(t, f.Close())
	t.Logf("%d marks had room, %d had none at first; %d times the file stayed as long as it was", reserved, refused, notShortened)
	if refused < 50 || reserved < 50 || notShortened == 0 {
		t.Error("too few to mean anything")
	}
}
