//go:build unix

package storage_test

import "syscall"

func init() {
	strangers = append(strangers, stranger{"a pipe", func(path string) error { return syscall.Mkfifo(path, 0o600) }})
}
