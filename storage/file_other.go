//go:build !unix

package storage

import (
	"fmt"
	"os"
	"time"

	"github.com/latchkey/latchkey/storage/boltguard"
)

// ownLike does nothing: elsewhere files have no owner that is a number.
func ownLike(string, ...string) error { return nil }

// lockFile opens a file. Elsewhere the lock is bbolt's own, on the store's file.
func lockFile(path string, _ time.Duration) (*os.File, error) {
	f, err := boltguard.OpenPrivate(path, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, fmt.Errorf("opening the lock: %w", err)
	}
	return f, nil
}
