//go:build !linux

package envoytest

import "os/exec"

// endWithParent does nothing where the kernel offers no such service.
func endWithParent(*exec.Cmd) {}
