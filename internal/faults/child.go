//go:build linux && (amd64 || arm64)

package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"
)

const (
	childVariable    = "LATCHKEY_FAULTS_CHILD"
	isolatedVariable = "LATCHKEY_FAULTS_ISOLATED"
	// refusedCode is the exit code of a child that came upon ErrRefused.
	refusedCode = 77
)

// Child returns the command that runs one test of this very test binary, its name as of T.Name, in a process of its own. The
// test sees by InChild that it is there. Add to Env what it must know. When ctx ends, the child is killed; a little before
// its deadline, the child stops by itself and shows what its goroutines wait for.
func Child(ctx context.Context, test string) *exec.Cmd {
	var pattern []string
	for element := range strings.SplitSeq(test, "/") {
		pattern = append(pattern, "^"+regexp.QuoteMeta(element)+"$")
	}
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run="+strings.Join(pattern, "/"), "-test.count=1")
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		patience := max(left-min(left/2, 5*time.Second), time.Millisecond)
		cmd.Args = append(cmd.Args, "-test.timeout="+patience.String())
	}
	// Until 6.18, Linux restarts a call when a signal comes just as it is answered, and it would be counted twice. So the
	// child's runtime sends itself none.
	cmd.Env = append(os.Environ(), childVariable+"=1", "GODEBUG=asyncpreemptoff=1,"+os.Getenv("GODEBUG"),
		"GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE")) // else the race detector sleeps for a second at the end
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// InChild reports whether this process was started by a command of Child.
func InChild() bool { return os.Getenv(childVariable) != "" }

// Run runs a command of Child and returns all that it printed. The error is nil when its test passed, ErrRefused when it
// gave up or the machine would not start it.
func Run(cmd *exec.Cmd) (output []byte, err error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		// A misspelt name would pass for ever.
		if bytes.Contains(out.Bytes(), []byte("no tests to run")) {
			return out.Bytes(), fmt.Errorf("the child of %s: there is no such test: name it as T.Name does", cmd.Args[1])
		}
		return out.Bytes(), nil
	case errors.As(err, &exit):
		if exit.ExitCode() == refusedCode {
			return out.Bytes(), fmt.Errorf("%w: the child says: %s", ErrRefused, bytes.TrimSpace(out.Bytes()))
		}
	case cmd.SysProcAttr != nil && cmd.SysProcAttr.Cloneflags != 0 && refusal(err):
		return out.Bytes(), fmt.Errorf("%w to start a process in a mount namespace of its own: %w", ErrRefused, err)
	}
	return out.Bytes(), fmt.Errorf("the child of %s: %w", cmd.Args[1], err)
}

// GiveUp does nothing when err is nil. Else it ends the child at once: Run in its parent returns ErrRefused when err is
// that, and a failure for every other error.
func GiveUp(err error) {
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, err)
	if errors.Is(err, ErrRefused) {
		os.Exit(refusedCode)
	}
	os.Exit(1)
}

// refusal says whether an error is that of a machine that forbids namespaces or mounts. ENOSPC and EUSERS: as many as it
// allows, which may be none.
func refusal(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EPERM, syscall.EACCES, syscall.ENOSYS, syscall.EINVAL, syscall.ENOSPC, syscall.EUSERS} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
