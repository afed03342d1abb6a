//go:build unix

package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/latchkey/latchkey/storage/boltguard"
)

// ownLike gives files to the owner of their folder, where root made them: what
// root restores must not lock out the user whom the service runs as.
func ownLike(dir string, paths ...string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 || owner.Uid == 0 {
		return nil
	}
	for _, path := range paths {
		if err := os.Lchown(path, int(owner.Uid), int(owner.Gid)); err != nil {
			return fmt.Errorf("giving %s to the owner of its folder: %w", path, err)
		}
	}
	return nil
}

// lockInterval is the time between two attempts to take the lock: flock has no
// time limit of its own.
const lockInterval = 20 * time.Millisecond

// lockFile takes the lock of a file for as long as it is open. It makes the
// file where it is missing.
func lockFile(path string, wait time.Duration) (*os.File, error) {
	f, err := boltguard.OpenPrivate(path, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, fmt.Errorf("opening the lock: %w", err)
	}
	for deadline := time.Now().Add(wait); ; time.Sleep(lockInterval) {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), f.Close())
		}
		if time.Now().After(deadline) {
			return nil, errors.Join(fmt.Errorf("%s: %w", filepath.Dir(path), ErrLocked), f.Close())
		}
	}
}
