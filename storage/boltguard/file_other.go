//go:build !unix

package boltguard

const noFollow = 0

// HasModes says whether a file's mode has its rights.
const HasModes = false
