//go:build linux && (amd64 || arm64)

package faults

import "golang.org/x/sys/unix"

// operands says where the arguments of a system call name its file.
type operands int

const (
	fdFirst   operands = iota // a descriptor, argument 0
	fdThird                   // a descriptor, argument 2
	creating                  // a folder and a name, arguments 0 and 1; flags in argument 2: only what creates or truncates counts
	creating2                 // as creating, with the flags in memory, where a filter cannot see them
	oneName                   // a folder and a name, arguments 0 and 1
	twoNames                  // a second folder and name too, arguments 2 and 3
)

type watchedCall struct {
	name string
	operands
}

// watched are the calls that the kernel asks about. The supervisor itself must do without them.
var watched = map[uint32]watchedCall{
	unix.SYS_WRITE:           {"write", fdFirst},
	unix.SYS_PWRITE64:        {"pwrite64", fdFirst},
	unix.SYS_SENDFILE:        {"sendfile", fdFirst},
	unix.SYS_COPY_FILE_RANGE: {"copy_file_range", fdThird},
	unix.SYS_FTRUNCATE:       {"ftruncate", fdFirst},
	unix.SYS_FALLOCATE:       {"fallocate", fdFirst},
	unix.SYS_FSYNC:           {"fsync", fdFirst},
	unix.SYS_FDATASYNC:       {"fdatasync", fdFirst},
	unix.SYS_OPENAT:          {"openat", creating},
	unix.SYS_OPENAT2:         {"openat2", creating2},
	unix.SYS_RENAMEAT:        {"renameat", twoNames},
	unix.SYS_RENAMEAT2:       {"renameat2", twoNames},
	unix.SYS_LINKAT:          {"linkat", twoNames},
	unix.SYS_UNLINKAT:        {"unlinkat", oneName},
	unix.SYS_MKDIRAT:         {"mkdirat", oneName},
}

// createFlags are the flags of openat with which it changes a folder or a file.
const createFlags = unix.O_CREAT | unix.O_TRUNC

// Where the kernel's struct seccomp_data has its fields, in bytes. Both machines are little-endian: the low half of an
// argument, all that a descriptor or flags need, comes first.
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

// program is the filter: it notifies of what is watched and lets everything else happen. Writes to the descriptors in exempt
// happen too.
func program(arch uint32, exempt []int) []unix.SockFilter {
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	// unless skips the next instructions where the loaded value does not fit.
	unless := func(test uint16, value uint32, skip int) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_K | test, Jf: uint8(skip), K: value}
	}
	answer := func(action uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
	}
	arg := func(i uint32) unix.SockFilter { return load(offArgs + 8*i) }

	p := []unix.SockFilter{
		load(offArch),
		{Code: unix.BPF_JMP | unix.BPF_K | unix.BPF_JEQ, Jt: 1, K: arch},
		answer(unix.SECCOMP_RET_ALLOW),
		load(offNumber),
	}
	for number, call := range watched {
		var block []unix.SockFilter
		switch call.operands {
		case fdFirst, fdThird:
			block = append(block, arg(map[operands]uint32{fdFirst: 0, fdThird: 2}[call.operands]))
			for _, fd := range exempt {
				block = append(block, unless(unix.BPF_JEQ, uint32(fd), 1), answer(unix.SECCOMP_RET_ALLOW))
			}
		case creating:
			block = append(block, arg(2), unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_K | unix.BPF_JSET, Jt: 1, K: createFlags},
				answer(unix.SECCOMP_RET_ALLOW))
		case creating2, oneName, twoNames:
		}
		block = append(block, answer(unix.SECCOMP_RET_USER_NOTIF))
		p = append(append(p, unless(unix.BPF_JEQ, number, len(block))), block...)
	}
	return append(p, answer(unix.SECCOMP_RET_ALLOW))
}
