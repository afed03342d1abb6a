//go:build linux && (amd64 || arm64)

package faults

import (
	"errors"
	"syscall"
)

// ErrRefused is returned when this machine does not let a process watch its own system calls, or mount: an old kernel, or a
// container that forbids it. It says nothing about the code under test.
var ErrRefused = errors.New("this machine refuses")

// Call is one system call on a file below the folder given to Inject.
type Call struct {
	Name string // as the kernel calls it: "pwrite64", "fdatasync", "renameat"
	Path string // of the file it acts on, absolute and without symbolic links; of a rename or link, the old name
	To   string // of a rename or link, the new name; else empty
	N    int    // 1, 2, 3 … since the last Inject
}

// Fault is what becomes of a call. The zero Fault lets it happen.
type Fault struct {
	// Errno is what the caller gets in place of what it asked for; nothing of that happens. Beware of EINTR and EAGAIN: Go
	// tries again at once.
	Errno syscall.Errno

	// Half lets a write or pwrite64 store the first half of its bytes, and then fail with Errno; with no Errno, it tells the
	// caller the truth, how many it stored. Other calls, and writes of a single byte without Errno, are as without it.
	Half bool
}

// Event is a call and what became of it.
type Event struct {
	Call
	Fault
}

// Nth is the decision to fail call n alone. n counts from 1.
func Nth(n int, fault Fault) func(Call) Fault {
	return func(c Call) Fault {
		if c.N == n {
			return fault
		}
		return Fault{}
	}
}

// From is the decision to fail call n and all that follow.
func From(n int, fault Fault) func(Call) Fault {
	return func(c Call) Fault {
		if c.N >= n {
			return fault
		}
		return Fault{}
	}
}
