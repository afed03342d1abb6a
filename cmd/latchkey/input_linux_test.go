package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// One signal ends a command that waits for somebody to write what it is to read.
func TestOneSignalEndsAWaitForInput(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600), unix.Mkfifo(filepath.Join(dir, "policy.yaml"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for line, call := range map[string]int64{
		"keys import pipe": unix.SYS_OPENAT,
		"keys import -":    unix.SYS_READ,
		"explain --token-file pipe GET https://a.example/": unix.SYS_OPENAT,
		"explain --token - GET https://a.example/":         unix.SYS_READ,
		"directory apply -f pipe":                          unix.SYS_OPENAT,
		"policy apply -":                                   unix.SYS_READ,
		"policy check pipe":                                unix.SYS_OPENAT,
		"policy test .":                                    unix.SYS_OPENAT,
		"policy diff other pipe":                           unix.SYS_OPENAT,
		"envoy lint pipe":                                  unix.SYS_OPENAT,
		"envoy config pipe":                                unix.SYS_OPENAT,
	} {
		t.Run(line, func(t *testing.T) {
			cmd := exec.Command("latchkey", strings.Fields(line)...)
			var stderr bytes.Buffer
			cmd.Dir, cmd.Stderr = dir, &stderr
			stdin, err := cmd.StdinPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = stdin.Close() }()
			waitsIn(t, cmd.Process.Pid, call)
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			select {
			case <-ended:
			case <-time.After(patience):
				t.Fatal("it goes on", cmd.Process.Kill())
			}
			if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(stderr.String(), "interrupted") {
				t.Errorf("exit code %d:\n%s", code, stderr.String())
			}
		})
	}
}

// waitsIn waits until a thread of a process is in a system call that doesn't come to an end.
func waitsIn(t *testing.T, pid int, call int64) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	seen := map[string]int{} // how often in a row, by what the kernel says
	for deadline := time.After(patience); ; {
		before := seen
		seen = map[string]int{}
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", pid))
		for _, thread := range threads {
			text, _ := os.ReadFile(thread)
			if strings.HasPrefix(string(text), fmt.Sprintf("%d ", call)) {
				seen[thread+string(text)] = before[thread+string(text)] + 1
			}
			if seen[thread+string(text)] == 5 {
				return
			}
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it never waits in the system call %d", call)
		}
	}
}
