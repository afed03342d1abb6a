//go:build !linux

package storage

import "os"

// willRead does nothing: elsewhere the kernel isn't asked in this way.
func willRead(*os.File, int64) {}
