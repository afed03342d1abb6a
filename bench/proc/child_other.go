//go:build !linux

package proc

import "os/exec"

// bind does nothing: load needs Linux anyway.
func bind(*exec.Cmd) {}
