//go:build linux && (amd64 || arm64)

package faults_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/latchkey/latchkey/internal/faults"
)

// Everything at once, and collections of garbage, which stop all threads but cannot stop one that waits for the supervisor.
func TestManyGoroutinesDoNotDeadlock(t *testing.T) {
	for name, test := range map[string]struct {
		env     string
		signals bool
	}{
		"as a child runs":    {"", false},
		"on one processor":   {"GOMAXPROCS=1", false},
		"under many signals": {"GODEBUG=asyncpreemptoff=0", true},
	} {
		t.Run(name, func(t *testing.T) {
			inChild(t, func() { stress(t, test.signals) }, func(cmd *exec.Cmd) {
				if test.env != "" {
					cmd.Env = append(cmd.Env, test.env)
				}
			})
		})
	}
}

func stress(t *testing.T, signals bool) {
	const writers, writes = 16, 200
	dir := t.TempDir()
	var decided, failed atomic.Int64
	inject(t, dir, func(c faults.Call) faults.Fault {
		decided.Add(1)
		runtime.KeepAlive(bytes.Repeat([]byte("garbage"), 1000))
		if c.N%7 == 0 && c.Name == "pwrite64" {
			return faults.Fault{Errno: syscall.EIO}
		}
		return faults.Fault{}
	})

	var all, others sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		others.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					runtime.GC()
				}
			}
		})
	}
	if signals {
		others.Go(func() { sendSignals(t, done) })
	}
	// Pipes keep the network poller, which writes to a descriptor of its own, awake.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	others.Go(func() {
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Errorf("reading a pipe: %v", err)
		}
	})
	for i := range writers {
		all.Go(func() {
			f, err := os.CreateTemp(dir, "")
			if err != nil {
				t.Errorf("writer %d: %v", i, err)
				return
			}
			defer f.Close()
			for n := range writes {
				if _, err := f.WriteAt([]byte("some bytes"), int64(n)); err != nil {
					failed.Add(1)
				}
				if n%20 == 0 {
					if err := f.Sync(); err != nil {
						t.Errorf("writer %d: %v", i, err)
					}
				}
				// A timer earlier than all others wakes the poller by a write to its own descriptor, on this processor.
				time.AfterFunc(time.Millisecond, func() {}).Stop()
				if _, err := w.Write([]byte("x")); err != nil {
					t.Errorf("writer %d: a pipe: %v", i, err)
				}
			}
		})
	}
	all.Wait()
	inject(t, "", nil)
	close(done)
	w.Close()
	others.Wait()

	const want = writers * (1 + writes + writes/20)
	seen := faults.Seen()
	if signals && !signalsAreHarmless(t) {
		return
	}
	if len(seen) != want || decided.Load() != want {
		t.Errorf("counted %d calls and asked about %d, want %d", len(seen), decided.Load(), want)
	}
	var refused int64
	for i, e := range seen {
		if e.N != i+1 {
			t.Fatalf("call %d has the number %d", i+1, e.N)
		}
		if e.Errno != 0 {
			refused++
		}
	}
	if refused == 0 || failed.Load() != refused {
		t.Errorf("%d calls were refused, %d writers saw an error", refused, failed.Load())
	}
}

// sendSignals sends a signal to every thread, again and again, as the runtime does to preempt them.
func sendSignals(t *testing.T, done <-chan struct{}) {
	for {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Error(err)
		}
		for _, thread := range threads {
			select {
			case <-done:
				return
			default:
			}
			// A thread may have ended by now.
			if id, err := strconv.Atoi(thread.Name()); err == nil {
				_ = unix.Tgkill(os.Getpid(), id, unix.SIGURG)
			}
		}
	}
}

// signalsAreHarmless says whether this kernel never asks twice about a call that a signal meets: see Child.
func signalsAreHarmless(t *testing.T) bool {
	t.Helper()
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	var major, minor int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	return major > 6 || major == 6 && minor >= 18
}
