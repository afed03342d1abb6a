package deploy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey/latchkey/internal/envoytest"
	"github.com/latchkey/latchkey/internal/netns"
)

// running is a container that runc runs, in the network of a host.
type running struct {
	name   string
	runc   string
	states string // where runc keeps what it knows
	host   *netns.Host
	proc   *envoytest.Process
	log    string // file of what it says
}

// start runs the container.
func (b *bundle) start(t *testing.T, runc, dir, name string, host *netns.Host) *running {
	t.Helper()
	r := &running{name: fmt.Sprintf("latchkey-test-%d-%s", os.Getpid(), name), runc: runc, states: filepath.Join(dir, "runc"), host: host}
	folder := filepath.Join(dir, name)
	r.log = folder + ".log"
	text, err := json.Marshal(b)
	if err == nil {
		err = os.MkdirAll(folder, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "config.json"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.proc, err = envoytest.StartProcessBy(host.Start, exec.Command(runc, "--root", r.states, "run", "--bundle", folder, r.name), r.log, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s said last:\n%s", name, r.proc.LogTail())
		}
		// Also where it never ran, or is gone.
		_ = exec.Command(runc, "--root", r.states, "delete", "--force", r.name).Run()
		r.proc.End(patience)
	})
	return r
}

// exec runs a program in the container and returns what it prints.
func (r *running) exec(stdin string, args ...string) (stdout, stderr string, err error) {
	cmd := exec.Command(r.runc, append([]string{"--root", r.states, "exec", r.name}, args...)...)
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &said
	if err := r.host.Start(cmd); err != nil {
		return "", "", err
	}
	err = cmd.Wait()
	return out.String(), said.String(), err
}

// pid returns the process that the container is.
func (r *running) pid(t *testing.T) int {
	t.Helper()
	var state struct{ Pid int }
	out, err := exec.Command(r.runc, "--root", r.states, "state", r.name).Output()
	if err == nil {
		err = json.Unmarshal(out, &state)
	}
	if err != nil || state.Pid == 0 {
		t.Fatalf("%s doesn't run: %v", r.name, err)
	}
	return state.Pid
}

// stop ends the container as the kubelet does, and returns how it ended.
func (r *running) stop(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(r.pid(t), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-r.proc.Done():
	case <-time.After(patience):
		t.Fatalf("%s is still there %s after SIGTERM", r.name, patience)
	}
	var exit *exec.ExitError
	if err := r.proc.Err(); errors.As(err, &exit) || err != nil {
		t.Errorf("%s ended with %v:\n%s", r.name, err, r.proc.LogTail())
	}
}
