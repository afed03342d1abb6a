//go:build linux && (amd64 || arm64)

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey/latchkey/internal/faults"
)

// What becomes of a child reaches its parent: nothing that goes wrong there passes for a success.
func TestRunTellsHowTheChildEnded(t *testing.T) {
	if faults.InChild() {
		switch os.Getenv("END") {
		case "failed":
			t.Error("the child's complaint")
		case "refused":
			faults.GiveUp(fmt.Errorf("%w for a reason", faults.ErrRefused))
		case "gave up":
			faults.GiveUp(faults.Inject(filepath.Join(t.TempDir(), "missing"), faults.Nth(1, faults.Fault{})))
		case "panicked":
			go panic("the child's complaint")
			select {}
		case "stuck":
			faults.GiveUp(faults.Inject(t.TempDir(), faults.Nth(1, faults.Fault{})))
			select {}
		}
		return
	}
	for _, test := range []struct {
		end     string
		refused bool
		says    string // in output or error; "" for a success
	}{
		{"passed", false, ""},
		{"failed", false, "the child's complaint"},
		{"refused", true, "for a reason"},
		{"gave up", false, "missing: no such file"},
		{"panicked", false, "the child's complaint"},
		{"stuck", false, "test timed out"},
	} {
		t.Run(test.end, func(t *testing.T) {
			const patience = time.Minute
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := faults.Child(ctx, "TestRunTellsHowTheChildEnded")
			if test.end == "stuck" {
				// Before it is killed it is to tell what it waits for: here it does so sooner, so that the test is short.
				const flag = "-test.timeout="
				i := slices.IndexFunc(cmd.Args, func(arg string) bool { return strings.HasPrefix(arg, flag) })
				if i < 0 {
					t.Fatalf("it isn't told to stop by itself: %q", cmd.Args)
				}
				if own, err := time.ParseDuration(strings.TrimPrefix(cmd.Args[i], flag)); err != nil || own <= 0 || own >= patience {
					t.Errorf("of %v it has %v: %v", patience, own, err)
				}
				cmd.Args[i] = flag + "1s"
			}
			cmd.Env = append(cmd.Env, "END="+test.end)
			out, err := faults.Run(cmd)
			if (err == nil) != (test.says == "") || errors.Is(err, faults.ErrRefused) != test.refused {
				t.Errorf("error %v\n%s", err, out)
			}
			if all := fmt.Sprint(string(out), err); !strings.Contains(all, test.says) {
				t.Errorf("want %q in\n%s", test.says, all)
			}
		})
	}
	if out, err := faults.Run(faults.Child(t.Context(), "TestOfNoSuchName")); err == nil {
		t.Errorf("a test that does not exist passes: %s", out)
	}
}

// A process below one that watches its calls already, as some containers do, is refused. Its own writes go on: the filter
// it inherited is asked about them, and lets them be.
func TestInjectIsRefusedBelowAnotherListener(t *testing.T) {
	if os.Getenv("BELOW") != "" {
		file := filepath.Join(os.Getenv("BELOW"), "file")
		if err := os.WriteFile(file, []byte("of another process"), 0o600); err != nil {
			t.Fatal(err)
		}
		faults.GiveUp(faults.Inject(t.TempDir(), faults.Nth(1, faults.Fault{})))
		return
	}
	inChild(t, func() {
		dir := t.TempDir()
		inject(t, dir, faults.From(1, faults.Fault{Errno: syscall.EIO}))
		cmd := faults.Child(t.Context(), t.Name())
		cmd.Env = append(cmd.Env, "BELOW="+dir)
		out, err := faults.Run(cmd)
		if !errors.Is(err, faults.ErrRefused) || !strings.Contains(err.Error(), "seccomp: ") {
			t.Errorf("got %v, want ErrRefused of seccomp\n%s", err, out)
		}
		if seen := faults.Seen(); len(seen) != 0 {
			t.Errorf("counted calls of another process: %+v", seen)
		}
	})
}

func TestMountsOnlyInAnIsolatedChild(t *testing.T) {
	if err := faults.Tmpfs(t.TempDir(), 1<<20); err == nil || !strings.Contains(err.Error(), "Isolate") {
		t.Errorf("a tmpfs: got %v, want an error that names Isolate", err)
	}
	if _, err := faults.Hang(t.TempDir()); err == nil || !strings.Contains(err.Error(), "Isolate") && !errors.Is(err, faults.ErrRefused) {
		t.Errorf("one that hangs: got %v, want an error that names Isolate", err)
	}
}

func TestHangAnswersOnceItIsOver(t *testing.T) {
	folder := t.TempDir()
	if faults.InChild() {
		folder = os.Getenv("FOLDER")
	}
	inChild(t, func() {
		end, err := faults.Hang(folder)
		faults.GiveUp(err)
		asked, answered := make(chan struct{}), make(chan error, 1)
		go func() {
			close(asked)
			_, err := os.Stat(filepath.Join(folder, "file"))
			answered <- err
		}()
		<-asked
		select {
		case err := <-answered:
			t.Fatalf("it answers: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if err := <-answered; err == nil || errors.Is(err, os.ErrNotExist) {
			t.Errorf("once it is over: %v", err)
		}
	}, func(cmd *exec.Cmd) {
		faults.Isolate(cmd)
		cmd.Env = append(cmd.Env, "FOLDER="+folder)
	})
}

func TestTmpfsFills(t *testing.T) {
	const size = 256 << 10
	folder := t.TempDir()
	if faults.InChild() {
		folder = os.Getenv("FOLDER")
	}
	var outer *exec.Cmd
	inChild(t, func() {
		faults.GiveUp(faults.Tmpfs(folder, size))
		// Real trouble and made trouble go together.
		inject(t, folder, faults.Nth(2, faults.Fault{Errno: syscall.EIO}))
		f, err := os.Create(filepath.Join(folder, "big"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString("x"); !errors.Is(err, syscall.EIO) {
			t.Errorf("the second call: %v, want %v", err, syscall.EIO)
		}
		n, err := f.Write(make([]byte, 2*size))
		if n != size || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%d bytes stored, %v, want %d and %v", n, err, size, syscall.ENOSPC)
		}
		if err := f.Truncate(0); err != nil {
			t.Error(err)
		}
		if _, err := f.WriteAt([]byte("there is room again"), 0); err != nil {
			t.Error(err)
		}
	}, func(cmd *exec.Cmd) {
		faults.Isolate(cmd)
		cmd.Env = append(cmd.Env, "FOLDER="+folder)
		outer = cmd
	})
	if outer == nil {
		return
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
		t.Errorf("the child's mount is seen outside: %v, %v", left, err)
	}
}
