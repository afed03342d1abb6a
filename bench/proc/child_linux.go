package proc

import (
	"os/exec"
	"syscall"
)

// bind has the kernel end the child when this process dies without stopping it, and
// leaves Ctrl-C to us, who end the children in order.
func bind(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
