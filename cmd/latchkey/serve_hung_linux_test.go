//go:build amd64 || arm64

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey/latchkey/internal/disk"
	"github.com/latchkey/latchkey/internal/faults"
	"github.com/latchkey/latchkey/internal/link/linktest"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// hungVariable names the folder of the test to its child.
const hungVariable = "LATCHKEY_HUNG"

// A file system that answers nothing any more holds up nobody: neither who asks for the status, nor the other files that are
// followed, nor who ends the process.
func TestAHungFileHoldsUpNobody(t *testing.T) {
	if !faults.InChild() {
		t.Parallel()
	}
	if faults.Apart(t, 5*time.Minute, faults.Isolate, func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, hungVariable+"="+t.TempDir()) }) {
		return
	}
	d := hungFolder{t, os.Getenv(hungVariable)}
	if err := os.Mkdir(d.path("dead"), 0o700); err != nil {
		t.Fatal(err)
	}
	end, err := faults.Hang(d.path("dead"))
	faults.GiveUp(err)
	defer func() { _ = end() }()
	ca := linktest.NewCA(t, "ca")
	if err := os.Mkdir(d.path("tls"), 0o700); err != nil {
		t.Fatal(err)
	}
	linktest.Write(t, d.path("tls"), ca.Issue(t, linktest.Leaf{DNSNames: []string{"hub"}}), ca)
	d.write("serve.real", "policy: [one, two.yaml, folder]\ndata: data\nhttp: unix:http.sock\nhub_listen: 127.0.0.1:0\n"+
		"tls: {certificate: tls/tls.crt, key: tls/tls.key, ca: tls/ca.crt}\nfollowers: [a.example]\n")
	for _, name := range []string{"one", "two", "folder/three.yaml", "four"} {
		d.policy(name, "v1")
	}
	d.lead("two.yaml", "two")
	d.lead("folder/four.yaml", "../four")
	d.lead("serve.yaml", "serve.real")

	// What is there at the start has to answer; who waits for it is heard.
	d.write("start.yaml", "tls: {certificate: dead/tls.crt, key: dead/tls.key, ca: dead/ca.crt}\n")
	starting := d.serve("start.yaml")
	eventually(t, "a process that takes signals", func() error {
		if log := starting.log(); !strings.Contains(log, "memory") {
			return errors.New(log)
		}
		return nil
	})
	d.stops(starting, exitFailed, "wait for dead/tls.crt: ")

	h := d.serve("serve.yaml")
	d.says(h, "v1.one.example", "v1.two.example", "v1.three.example", "v1.four.example")
	d.lead("two.yaml", "dead/two.yaml")
	d.lead("folder/four.yaml", "../dead/four.yaml")
	d.lead("serve.yaml", "dead/serve.yaml")
	d.lead("tls/tls.crt", "../dead/tls.crt")
	d.policy("one", "v2")
	d.policy("folder/three.yaml", "v2")
	d.says(h, "v2.one.example", "v2.three.example", "two.yaml: nothing answers since", "four.yaml: nothing answers since",
		"serve.yaml: nothing answers since", "tls.crt: nothing answers since")
	if err := h.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	d.policy("one", "v3")
	d.says(h, "v3.one.example")
	log := d.stops(h, exitDone, "stopped")
	for _, name := range []string{"two.yaml", "folder/four.yaml", "serve.yaml", "tls/tls.crt"} {
		lines := 0
		for line := range strings.Lines(log) {
			if strings.Contains(line, "ERROR") && strings.Contains(line, name+": nothing answers since") {
				lines++
			}
		}
		if lines != 1 {
			t.Errorf("%s is told of %d times:\n%s", name, lines, log)
		}
	}
}

// hungFolder is where such processes run.
type hungFolder struct {
	*testing.T
	dir string
}

func (d *hungFolder) path(name string) string { return filepath.Join(d.dir, name) }

// write puts a file in the place of another.
func (d *hungFolder) write(name, content string) {
	d.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(d.path(name)), 0o700), disk.Replace(d.path(name), []byte(content), false)); err != nil {
		d.Fatal(err)
	}
}

// policy writes a policy whose host says its version.
func (d *hungFolder) policy(file, version string) {
	d.Helper()
	name := strings.TrimSuffix(filepath.Base(file), ".yaml")
	d.write(file, fmt.Sprintf("name: %s\nhosts: [%s.%s.example]\ntenants: {team: {}}\nscopes: {everything: {}}\n"+
		"key_types:\n  secret: {format: \"%s_{secret:30}\", owner: team, scopes: [everything]}\n"+
		"endpoints:\n  A: {scopes: [everything], routes: [GET /v1/a]}\n", name, version, name, name))
}

// lead has a link lead to another place, in one step.
func (d *hungFolder) lead(name, to string) {
	d.Helper()
	next := d.path(name) + ".next"
	if err := errors.Join(os.Symlink(to, next), os.Rename(next, d.path(name))); err != nil {
		d.Fatal(err)
	}
}

// hungServe is a process that writes its log to a file.
type hungServe struct {
	*exec.Cmd
	file *os.File
}

func (h *hungServe) log() string {
	text, _ := os.ReadFile(h.file.Name())
	return string(text)
}

func (d *hungFolder) serve(config string) *hungServe {
	d.Helper()
	file, err := os.Create(d.path(config + ".log"))
	if err != nil {
		d.Fatal(err)
	}
	h := &hungServe{exec.Command("latchkey", "serve", "--config", config), file}
	h.Dir, h.Stderr = d.dir, file
	if err := h.Start(); err != nil {
		d.Fatal(err)
	}
	d.Cleanup(func() { _ = errors.Join(h.Process.Kill(), file.Close()) })
	return h
}

// stops ends a process in good order, as long as its file system still hangs, and returns its log.
func (d *hungFolder) stops(h *hungServe, code int, says string) string {
	d.Helper()
	if err := h.Process.Signal(syscall.SIGTERM); err != nil {
		d.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Wait() }()
	select {
	case <-ended:
	case <-time.After(patience):
		d.Fatal("it doesn't end")
	}
	if got := h.ProcessState.ExitCode(); got != code || !strings.Contains(h.log(), says) {
		d.Errorf("exit code %d, want %d and %q:\n%s", got, code, says, h.log())
	}
	return h.log()
}

// says waits until the status says all of this. It has to answer at once, always: where it doesn't, it is the machine that is
// busy, and no file that is waited for.
func (d *hungFolder) says(h *hungServe, texts ...string) {
	d.Helper()
	c := &client{output: &output{}, admin: "unix:" + d.path("data/admin.sock")}
	if err := c.connect(d.Context(), os.Stderr); err != nil {
		d.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	var missing string
	for {
		var status *adminv1.GetStatusResponse
		var err error
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			status, err = ask(d.Context(), c.server.GetStatus, &adminv1.GetStatusRequest{})
		}()
		select {
		case <-answered:
		case <-time.After(disk.Patience * 3 / 4):
			if where := d.waits("GetStatus"); where != "" {
				d.Fatalf("the status waits for a file that hangs:\n%s", where)
			}
			<-answered
		}
		missing = ""
		for _, text := range texts {
			if !strings.Contains(fmt.Sprint(err, status.GetProblems(), status.GetPolicies()), text) {
				missing = text
			}
		}
		if missing == "" {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			d.Fatalf("the status doesn't come to say %q: %v, %v\n%s", missing, err, status.GetProblems(), h.log())
		}
	}
}

// waits returns where a goroutine of the process waits that has a function on its stack, if one does.
func (d *hungFolder) waits(in string) string {
	d.Helper()
	by := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", d.path("http.sock"))
	}}}
	defer by.CloseIdleConnections()
	answer, err := by.Get("http://latchkey/debug/pprof/goroutine?debug=2")
	if err != nil {
		d.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil || !strings.HasPrefix(string(text), "goroutine ") {
		d.Fatalf("no goroutines: %v, %.500s", err, text)
	}
	for one := range strings.SplitSeq(string(text), "\n\n") {
		head, _, _ := strings.Cut(one, "\n")
		if strings.Contains(one, in) && !strings.Contains(head, "[runn") { // running, or runnable
			return one
		}
	}
	return ""
}
