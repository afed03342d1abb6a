//go:build linux && (amd64 || arm64)

package faults

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// Isolate lets a command of Child have mounts of its own, gone with it: see Tmpfs. As an ordinary user it is root in a user
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
	if os.Getenv(isolatedVariable) == "" {
		return fmt.Errorf("mount a tmpfs on %s: every process of this machine would see it: start this one by a command given to Isolate", folder)
	}
	// Else the mount would be seen outside, where mounts are shared.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return mountError(folder, err)
	}
	if err := unix.Mount("tmpfs", folder, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("size=%d,mode=0700", size)); err != nil {
		return mountError(folder, err)
	}
	return nil
}

func mountError(folder string, err error) error {
	if refusal(err) {
		return fmt.Errorf("%w to mount a tmpfs on %s: %w", ErrRefused, folder, err)
	}
	return fmt.Errorf("mount a tmpfs on %s: %w", folder, err)
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
