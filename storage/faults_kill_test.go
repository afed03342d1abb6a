//go:build linux && (amd64 || arm64)

package storage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/latchkey/latchkey/internal/faults"
	"github.com/latchkey/latchkey/storage"
)

// What the child of TestKilledAtACall is told.
const (
	killScenario = "LATCHKEY_STORAGE_KILL_SCENARIO"
	killCall     = "LATCHKEY_STORAGE_KILL_CALL"
	killFolder   = "LATCHKEY_STORAGE_KILL_FOLDER"
)

// A real process is killed at some call, and another one opens what it left.
// TestCrashAtEveryCall does so more often, in one process.
func TestKilledAtACall(t *testing.T) {
	if faults.InChild() {
		diesAtACall(t)
		return
	}
	stride, kills := stride(23), 0
	for i, s := range scenarios() {
		if s.traps {
			continue // this process can't make such trouble
		}
		dir := quickDir(t)
		template, from := s.template(t, filepath.Join(dir, "template"))
		first := s.begin(t, template, from, filepath.Join(dir, "first"))
		s.undisturbed(t, first)
		from.after = first.after
		// What the child will expect, one after the other.
		may := []outcome{from.first}
		w := s.begin(t, template, from, filepath.Join(dir, "second"))
		w.expected = func(o outcome) { may = append(may, o) }
		s.undisturbed(t, w)

		answers, ended := map[string]int{}, false
		for n := 1 + i%stride; !ended; n += stride {
			folder := filepath.Join(dir, "run")
			if err := template.write(folder); err != nil {
				t.Fatal(err)
			}
			reached := 0
			reached, ended = runAndKill(t, i, n, folder)
			if reached >= len(may) {
				t.Fatalf("%s, call %d: the child came to %d of %d", s.name, n, reached, len(may)-1)
			}
			left, err := freeze(folder, nil)
			if err != nil {
				t.Fatal(err)
			}
			m := instant{faults.Call{Name: "killed", Path: folder, N: n}, false, left, may[reached]}
			s.survives(t, m, from, left, filepath.Join(dir, "left"), fmt.Sprintf("killed at call %d", n), answers)
			if err := errors.Join(os.RemoveAll(folder), os.RemoveAll(folder+".prepared")); err != nil {
				t.Fatal(err)
			}
			if !ended {
				kills++
			}
		}
		t.Logf("%-52s opened: %s", s.name, counts(answers))
	}
	t.Logf("%d kills", kills)
}

// runAndKill runs a child that kills itself at a call, and returns how many
// times what may be in its folder changed, and whether it came to its end.
func runAndKill(t *testing.T, scenario, n int, folder string) (reached int, ended bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := faults.Child(ctx, "TestKilledAtACall")
	cmd.Env = append(cmd.Env, killScenario+"="+strconv.Itoa(scenario), killCall+"="+strconv.Itoa(n), killFolder+"="+folder)
	out, err := faults.Run(cmd)
	if errors.Is(err, faults.ErrRefused) {
		t.Skip(err)
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); err != nil && !(ok && status.Signaled() && status.Signal() == syscall.SIGKILL) {
		t.Fatalf("scenario %d, call %d: %v\n%s", scenario, n, err, out)
	}
	return bytes.Count(out, []byte("expected\n")), err == nil
}

// diesAtACall does the steps of a scenario, and is killed by itself.
func diesAtACall(t *testing.T) {
	i, err := strconv.Atoi(os.Getenv(killScenario))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(os.Getenv(killCall))
	if err != nil {
		t.Fatal(err)
	}
	s := scenarios()[i]
	_, from := s.template(t, os.Getenv(killFolder)+".prepared") // the parent removes it
	w := newWorld(os.Getenv(killFolder), t.Errorf)
	w.options, w.limit, w.again, w.midway = s.options, s.limit, s.again, s.midway
	w.now, w.model, w.first = from.now, from.model, from.first
	w.expected = func(outcome) { fmt.Println("expected") }
	faults.GiveUp(faults.Inject(w.base, func(c faults.Call) faults.Fault {
		if c.N == n {
			_ = unix.Kill(os.Getpid(), unix.SIGKILL)
			select {} // it comes at once
		}
		return faults.Fault{}
	}))
	for i, step := range s.steps {
		if err := step(w); err != nil && !errors.Is(err, storage.ErrDamaged) {
			t.Fatalf("%s, step %d, on a good disk: %v", s.name, i, err)
		}
	}
	faults.GiveUp(faults.Inject("", nil))
}
