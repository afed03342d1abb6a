//go:build linux && (amd64 || arm64)

package main

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey/latchkey/internal/faults"
)

// A hub whose disk is full says so in its log, its metrics and its status as soon as a write fails, and says when it is
// over.
func TestServeTellsOfAFullDisk(t *testing.T) {
	if faults.Apart(t, 5*time.Minute, faults.Isolate) {
		return
	}
	dir := t.TempDir()
	faults.GiveUp(faults.Tmpfs(dir, 8<<20))
	defer func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }()
	h := newHub(t, filepath.Join(dir, "data"))
	defer h.kill()
	lines := h.startLogged()
	h.latchkey("directory", "apply", "-f", "../../examples/kodey/directory.yaml")
	create := []string{"keys", "create", "--policy", "kodey", "--type", "secret", "--tenant", "team:t_1"}

	ballast := filepath.Join(dir, "ballast")
	fill(t, ballast)
	refused := false
	for range 200 { // some find room in the file
		var stderr strings.Builder
		cmd := h.command(create...)
		cmd.Stderr = &stderr
		if cmd.Run() != nil {
			if refused = strings.Contains(stderr.String(), "no space left on device"); !refused {
				t.Fatal(stderr.String())
			}
			break
		}
	}
	if !refused {
		t.Fatal("the disk is full, and every write went well")
	}
	awaitLine(t, lines, `"level":"ERROR","msg":"the store takes no writes: requests are decided from memory"`, "no space left on device")
	status := h.status()
	if !status.GetDegraded() || !strings.Contains(strings.Join(status.GetProblems(), "\n"), "no space left on device") {
		t.Errorf("status: degraded %v, problems %q", status.GetDegraded(), status.GetProblems())
	}
	var http string
	for _, l := range status.GetListeners() {
		if l.GetName() == "http" {
			http = l.GetAddress()
		}
	}
	if _, metrics, err := pageAt(http + "/metrics"); err != nil || !strings.Contains(metrics, "\nlatchkey_store_degraded 1\n") {
		t.Errorf("its metrics don't tell: %v", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	awaitLine(t, lines, `"level":"INFO","msg":"the store takes writes again"`)
	h.latchkey(create...)
	if h.status().GetDegraded() {
		t.Error("it is degraded after a write went well")
	}
}

// fill makes a file that takes all the room there is.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for page := make([]byte, 4096); err == nil; {
		_, err = f.Write(page)
	}
	if closed := f.Close(); !errors.Is(err, syscall.ENOSPC) || closed != nil {
		t.Fatal(err, closed)
	}
}

// startLogged starts the hub, and returns the lines of its log as they come.
func (h *hubProcess) startLogged() <-chan string {
	h.t.Helper()
	h.cmd = exec.Command("latchkey", "serve", "--policy", "../../examples/kodey/policy.yaml", "--data", h.dir, "--http", "127.0.0.1:0")
	out, err := h.cmd.StderrPipe()
	if err == nil {
		err = h.cmd.Start()
	}
	if err != nil {
		h.t.Fatal(err)
	}
	lines := make(chan string, 1000)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	awaitLine(h.t, lines, `"msg":"readiness changed","ready":true`)
	return lines
}

// awaitLine reads a log until a line has all of the words.
func awaitLine(t *testing.T, lines <-chan string, words ...string) {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				t.Fatalf("the log ended before it said %q", words)
			}
			missing := false
			for _, w := range words {
				missing = missing || !strings.Contains(line, w)
			}
			if !missing {
				return
			}
		case <-late:
			t.Fatalf("the log doesn't say %q", words)
		}
	}
}
