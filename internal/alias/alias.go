// Package alias gives bytes and text another type without copying them, for
// what is read where it lies. It is the one place of the check path that uses
// package unsafe.
//
// What is aliased must not change as long as the alias is in use: the callers
// alias bytes that are never changed again, or that they alone hold.
package alias

import "unsafe"

// String returns the bytes as a string.
func String(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// Bytes returns the string as bytes, which must not be written to.
func Bytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
