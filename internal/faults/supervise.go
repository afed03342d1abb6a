//go:build linux && (amd64 || arm64)

package faults

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// supervisor answers the kernel. It uses package unix, not os: os tells a running test which files it opens, under a lock
// that may be held by a goroutine that waits for the supervisor.
type supervisor struct {
	listener int
	memory   int // /proc/self/mem: read there, a bad pointer is an error and not a crash
}

func (s *supervisor) run() {
	for {
		var n notice
		err := receive(s.listener, &n)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENOENT) { // ENOENT: a signal took the call back before we had it
			continue
		}
		if err != nil {
			// Nobody would answer any more, and every write wait for ever.
			panic(fmt.Sprintf("faults: waiting for the next system call: %v", err))
		}
		r := s.answer(&n)
		if err := send(s.listener, &r); err != nil && !errors.Is(err, unix.ENOENT) {
			panic(fmt.Sprintf("faults: answering a system call: %v", err))
		}
	}
}

func (s *supervisor) answer(n *notice) reply {
	asItIs := reply{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	// A program started by this one has the filter too, but its memory and descriptors are its own.
	if unix.Access("/proc/self/task/"+strconv.Itoa(int(n.thread)), unix.F_OK) != nil {
		return asItIs
	}
	kind := watched[uint32(n.number)]

	plan.Lock()
	defer plan.Unlock()
	if plan.decide == nil {
		return asItIs
	}
	call, ok := s.describe(n, kind)
	if !ok || !below(call.Path, plan.dir) && !below(call.To, plan.dir) {
		return asItIs
	}
	call.N = len(plan.seen) + 1
	fault := plan.decide(call)
	plan.seen = append(plan.seen, Event{call, fault})

	if fault.Half && (n.number == unix.SYS_WRITE || n.number == unix.SYS_PWRITE64) {
		return s.half(n, fault)
	}
	if fault.Errno == 0 {
		return asItIs
	}
	return reply{id: n.id, failure: -int32(fault.Errno)}
}

// describe finds out which files a call is about. Not ok: it is none that counts, or one that fails by itself.
func (s *supervisor) describe(n *notice, kind watchedCall) (c Call, ok bool) {
	c.Name = kind.name
	switch kind.operands {
	case fdFirst:
		c.Path, ok = target(int(int32(n.args[0])))
	case fdThird:
		c.Path, ok = target(int(int32(n.args[2])))
	case creating, oneName:
		c.Path, ok = s.name(n.args[0], n.args[1])
	case creating2:
		how := make([]byte, 8)
		if got, err := unix.Pread(s.memory, how, int64(n.args[2])); err != nil || got < len(how) {
			return c, false
		}
		if binary.LittleEndian.Uint64(how)&createFlags == 0 {
			return c, false
		}
		c.Path, ok = s.name(n.args[0], n.args[1])
	case twoNames:
		if c.Path, ok = s.name(n.args[0], n.args[1]); ok {
			c.To, ok = s.name(n.args[2], n.args[3])
		}
	}
	return c, ok
}

// half stores the first half of what a write was to store, by calls that the filter lets pass.
func (s *supervisor) half(n *notice, fault Fault) reply {
	data := make([]byte, n.args[2]/2)
	if len(data) == 0 && fault.Errno == 0 {
		return reply{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	}
	stored, err := unix.Pread(s.memory, data, int64(n.args[1]))
	if err == nil && stored > 0 {
		fd := int(int32(n.args[0]))
		if n.number == unix.SYS_WRITE {
			stored, err = unix.Writev(fd, [][]byte{data[:stored]})
		} else {
			stored, err = unix.Pwritev(fd, [][]byte{data[:stored]}, int64(n.args[3]))
		}
	}
	var errno unix.Errno
	if errors.As(err, &errno) {
		return reply{id: n.id, failure: -int32(errno)} // the disk has troubles of its own
	}
	if fault.Errno != 0 {
		return reply{id: n.id, failure: -int32(fault.Errno)}
	}
	return reply{id: n.id, value: int64(stored)}
}

// name is the absolute path, free of symbolic links up to its last element, that a folder's descriptor and a name in memory
// stand for. Not ok: there is no such folder.
func (s *supervisor) name(dirfd, pointer uint64) (string, bool) {
	raw := make([]byte, unix.PathMax)
	got, err := unix.Pread(s.memory, raw, int64(pointer))
	if err != nil {
		return "", false
	}
	end := bytes.IndexByte(raw[:got], 0)
	if end <= 0 {
		return "", false
	}
	dir, base := path.Split(path.Clean(string(raw[:end])))
	if dir == "" {
		dir = "."
	}
	fd, err := unix.Openat(int(int32(dirfd)), dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", false
	}
	defer unix.Close(fd)
	folder, ok := target(fd)
	return path.Join(folder, base), ok
}

// target is the path of an open file, as it was when it was deleted if it is. Not ok: it is no file with a path.
func target(fd int) (string, bool) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlink("/proc/self/fd/"+strconv.Itoa(fd), buf)
	if err != nil {
		return "", false
	}
	name := strings.TrimSuffix(string(buf[:n]), " (deleted)")
	return name, path.IsAbs(name)
}

func below(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}
