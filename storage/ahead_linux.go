package storage

import (
	"os"

	"golang.org/x/sys/unix"
)

// willRead asks the kernel to read a file before it is asked for. It is advice:
// whether it is taken doesn't matter.
func willRead(f *os.File, size int64) {
	_ = unix.Fadvise(int(f.Fd()), 0, size, unix.FADV_WILLNEED)
}
