//go:build !linux

package main

import "os/exec"

// bind does nothing: load needs Linux anyway.
func bind(*exec.Cmd) {}
