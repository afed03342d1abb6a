//go:build linux && (amd64 || arm64)

package faults

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// Isolate lets a command of Child have mounts of its own, gone with it: see Tmpfs and Hang. As an ordinary user it is root in a user
// namespace of its own, in which this user is called 0. A machine that forbids that shows in the ErrRefused of Run.
func Isolate(cmd *exec.Cmd) {
	attr := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	if !mayMount() {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	cmd.SysProcAttr = attr
	cmd.Env = append(cmd.Env, isolatedVariable+"=1")
}

// Tmpfs mounts a file system in memory of so many bytes, in whole pages, on a folder: small enough to be filled. Only for
// the child of an isolated command, before its Inject: elsewhere it mounts nothing and says so. The error is ErrRefused when
// the machine forbids mounting.
func Tmpfs(folder string, size int64) error {
	return mount(folder, "tmpfs", fmt.Sprintf("size=%d,mode=0700", size))
}

// Hang mounts a file system on a folder that answers nothing, like one of a network whose server is gone: whoever asks for
// anything below the folder waits until he is killed. Once end is called, or this process is gone, all are answered with an
// error. It is for whom Tmpfs is for, and has its errors.
func Hang(folder string) (end func() error, err error) {
	kernel, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("%w to answer for a file system: %w", ErrRefused, err)
	}
	if err := mount(folder, "fuse", fmt.Sprintf("fd=%d,rootmode=40000,user_id=%d,group_id=%d", kernel.Fd(), os.Getuid(), os.Getgid())); err != nil {
		return nil, errors.Join(err, kernel.Close())
	}
	return kernel.Close, nil // whose questions nobody reads
}

func mount(folder, kind, data string) error {
	if os.Getenv(isolatedVariable) == "" {
		return fmt.Errorf("mount a %s on %s: every process of this machine would see it: start this one by a command given to Isolate", kind, folder)
	}
	// Else the mount would be seen outside, where mounts are shared.
	err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	if err == nil {
		err = unix.Mount(kind, folder, kind, unix.MS_NOSUID|unix.MS_NODEV, data)
	}
	switch {
	case err == nil:
		return nil
	case refusal(err):
		return fmt.Errorf("%w to mount a %s on %s: %w", ErrRefused, kind, folder, err)
	}
	return fmt.Errorf("mount a %s on %s: %w", kind, folder, err)
}

// mayMount says whether this process may mount without a user namespace of its own.
func mayMount() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData // version 3 has 64 bits in two
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false
	}
	return data[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}
