package envoytest

import (
	"os/exec"
	"syscall"
)

// endWithParent has the kernel end the child when this process dies without stopping
// it, as a test run does that is killed or times out.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
