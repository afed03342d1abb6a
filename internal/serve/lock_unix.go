//go:build unix

package serve

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

const (
	// lockPatience is how long another process may hold a folder of sockets: longer than it takes to find out whether
	// somebody answers at one.
	lockPatience = 2 * time.Second
	lockEvery    = 2 * time.Millisecond
)

// lockFolder keeps other processes of this program from making and removing sockets in a folder until unlock is called.
// The lock ends with the process that holds it, and leaves no file. Where the folder can't be locked, as on some network
// file systems, nobody is kept from anything.
func lockFolder(path string) (unlock func(), err error) {
	folder, err := os.Open(path)
	if err != nil {
		return func() {}, nil // whether a socket may be made there is told when it is tried
	}
	for until := time.Now().Add(lockPatience); ; time.Sleep(lockEvery) {
		switch err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
		case errors.Is(err, syscall.EINTR):
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return func() { _ = folder.Close() }, nil // and with it goes the lock
		case time.Now().After(until):
			_ = folder.Close()
			return nil, fmt.Errorf("another process has had the folder %s locked for %s: see which (lsof) and end it, or choose another folder", path, lockPatience)
		}
	}
}
