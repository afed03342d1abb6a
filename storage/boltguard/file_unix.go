//go:build unix

package boltguard

import "syscall"

const noFollow = syscall.O_NOFOLLOW

// HasModes says whether a file's mode has its rights.
const HasModes = true
