package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal, and all that was written to it.
type terminal struct {
	of, at *os.File // the emulator's side, and the program's

	mu   sync.Mutex
	seen bytes.Buffer
	came chan struct{}
}

// newScreen opens a terminal of a size, and reads what is written to it.
func newScreen(t *testing.T, columns, lines uint16) *terminal {
	t.Helper()
	of, at := openTerminal(t)
	v := &terminal{of: of, at: at, came: make(chan struct{}, 1)}
	v.resize(t, columns, lines)
	read := make(chan struct{})
	go func() {
		defer close(read)
		b := make([]byte, 4096)
		for {
			n, err := of.Read(b)
			v.mu.Lock()
			v.seen.Write(b[:n])
			v.mu.Unlock()
			select {
			case v.came <- struct{}{}:
			default:
			}
			if err != nil {
				return // the other side is closed
			}
		}
	}()
	t.Cleanup(func() {
		_ = at.Close()
		<-read
		_ = of.Close()
	})
	return v
}

func (v *terminal) resize(t *testing.T, columns, lines uint16) {
	t.Helper()
	if err := unix.IoctlSetWinsize(int(v.of.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: lines, Col: columns}); err != nil {
		t.Fatal(err)
	}
}

// shows waits until what was written since is as wanted, and returns it.
func (v *terminal) shows(t *testing.T, what string, since int, is func(string) bool) string {
	t.Helper()
	deadline := time.After(patience)
	for {
		v.mu.Lock()
		text := v.seen.String()[since:]
		v.mu.Unlock()
		if is(text) {
			return text
		}
		select {
		case <-v.came:
		case <-deadline:
			t.Fatalf("it never shows %s:\n%q", what, text)
		}
	}
}

func (v *terminal) so() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.seen.Len()
}

// run starts a command on the terminal.
func (v *terminal) run(t *testing.T, environment []string, args ...string) (ended chan error) {
	t.Helper()
	cmd := exec.Command("latchkey", args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = v.at, v.at, v.at
	cmd.Env = append(os.Environ(), environment...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended = make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return ended
}

// TestTopOnATerminal: it paints over what is there, on a screen of its own, by the size that the terminal has now, and gives the
// terminal back as it was, however it is left.
func TestTopOnATerminal(t *testing.T) {
	k := serveKodey(t)
	k.ask(t, "elsewhere.example", "/", "none")
	http := k.address(t, "http")
	painted := func(text string) bool {
		return strings.Contains(text, "HOST_UNKNOWN") && strings.HasSuffix(text, "\x1b[J")
	}
	for _, c := range []struct {
		key         string
		environment string
		coloured    bool
	}{{"q", "NO_COLOR=", true}, {"\x03", "NO_COLOR=1", false}} {
		v := newScreen(t, 120, 20)
		before, err := unix.IoctlGetTermios(int(v.at.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		ended := v.run(t, []string{"TERM=xterm", c.environment}, "top", "--http", http, "--interval", "100ms")
		text := v.shows(t, "a view", 0, painted)
		if !strings.HasPrefix(text, "\x1b[?1049h") || strings.Contains(text, "\x1b[33m") != c.coloured {
			t.Errorf("it begins %q, with %s", text, c.environment)
		}
		v.resize(t, 24, 7)
		// What was painted before may still be on its way.
		v.shows(t, "a small view", v.so(), func(text string) bool {
			views := strings.Split(text, "\x1b[H")
			for _, view := range views[1:] {
				if strings.HasSuffix(view, "\x1b[J") && len(strings.Split(view, "\r\n")) <= 7 {
					return true
				}
			}
			return false
		})
		if _, err := v.of.WriteString(c.key); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("left by %q: %v", c.key, err)
			}
		case <-time.After(patience):
			t.Fatalf("%q doesn't leave it", c.key)
		}
		v.shows(t, "the screen of before", 0, func(text string) bool { return strings.HasSuffix(text, "\x1b[?7h\x1b[?25h\x1b[?1049l") })
		after, err := unix.IoctlGetTermios(int(v.at.Fd()), unix.TCGETS)
		if err != nil || *after != *before {
			t.Errorf("the terminal isn't as it was: %+v, %+v, %v", after, before, err)
		}
	}
	// A terminal that can't move its cursor gets one view after another.
	v := newScreen(t, 120, 20)
	v.run(t, []string{"TERM=dumb"}, "top", "--http", http, "--interval", "100ms")
	if text := v.shows(t, "views", 0, func(text string) bool { return strings.Count(text, "HOST_UNKNOWN") > 1 }); strings.Contains(text, "\x1b") {
		t.Errorf("it steers a terminal that can't be: %q", text)
	}
	k.end()
}

// TestTopForPrograms: without --once each view is a document on a line of its own, until it is interrupted.
func TestTopForPrograms(t *testing.T) {
	k := serveKodey(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "latchkey", "top", "--http", k.address(t, "http"), "--interval", "100ms", "-o", "json")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, asked := bufio.NewScanner(out), 0
	for lines.Scan() {
		var seen topView
		if err := json.Unmarshal(lines.Bytes(), &seen); err != nil || len(seen.Processes) != 1 || !seen.Processes[0].Ready {
			t.Fatalf("%s: %v", lines.Bytes(), err)
		}
		// What is asked between two views is in the next one. One that is asked while the process is read may be counted there
		// with how long it took left for the view after it: another is asked then.
		if p := seen.Processes[0]; len(p.Decisions) > 0 && *p.Checks > 0 && p.P50 != nil {
			if *p.P50 <= 0 || *p.Denied != *p.Checks || p.Decisions[0].Reason != "HOST_UNKNOWN" {
				t.Errorf("of checks that were refused it says %s", lines.Bytes())
			}
			break
		}
		k.ask(t, "elsewhere.example", "/", "none")
		asked++
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() { // to its end
	}
	if err := cmd.Wait(); err != nil || asked == 0 {
		t.Errorf("%v, after %d checks", err, asked)
	}
	k.end()
}
