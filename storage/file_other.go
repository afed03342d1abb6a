//go:build !unix

package storage

// Elsewhere a file's rights aren't in its mode.
const (
	noFollow = 0
	hasModes = false
)
