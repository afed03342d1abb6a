package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/latchkey/latchkey/internal/envoytest"
	"github.com/latchkey/latchkey/internal/freeport"
)

// shellPatience is how long one command of a document may take.
const shellPatience = 2 * time.Minute

// shell is a shell that commands are typed into, in a folder of its own. What
// is typed runs as it is; only the ports and the shared memory of the machine,
// which others use too, are left alone: `latchkey serve` and `latchkey-sidecar` get
// --http, `envoy` --disable-hot-restart, and the examples and admin APIs other ports
// to listen on.
type shell struct {
	t     *testing.T
	dir   string
	proxy string // where the Envoys of the examples listen
	admin string // where the admin API of the documents listens over TCP
	in    io.Writer
	codes *bufio.Reader
	jobs  []string // process ids of what runs in the background
}

func newShell(t *testing.T) *shell {
	t.Helper()
	dir, err := envoytest.SocketDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &shell{t: t, dir: filepath.Join(dir, "notes"), proxy: mustBeFree(t), admin: mustBeFree(t)}
	bin := filepath.Join(dir, "bin")
	for _, folder := range []string{s.dir, bin} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.copyExamples()
	latchkey, err := exec.LookPath("latchkey")
	if err != nil {
		t.Fatal(err)
	}
	s.wrapper(bin, "latchkey", `case "$1" in serve) shift; set -- serve --http 127.0.0.1:0 "$@";; esac`+"\nexec "+latchkey+` "$@"`)
	if err := sidecarBeside(); err != nil {
		t.Fatal(err)
	}
	s.wrapper(bin, "latchkey-sidecar", "exec "+latchkey+`-sidecar --http 127.0.0.1:0 "$@"`)
	env := []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + s.dir, "TMPDIR=" + os.TempDir()}
	if envoy, err := envoytest.Find(); err == nil {
		s.wrapper(bin, "envoy", "exec "+envoy+` --disable-hot-restart "$@"`)
		env = append(env, "LATCHKEY_ENVOY="+envoy)
	}
	s.start(env)
	return s
}

// here is text of a document with ports of this machine that are free.
func (s *shell) here(text string) string {
	_, admin, _ := strings.Cut(s.admin, ":")
	_, proxy, _ := strings.Cut(s.proxy, ":")
	return strings.NewReplacer(":9905", ":"+admin, ":10000", ":"+proxy, "port_value: 10000 ", "port_value: "+proxy+" ").Replace(text)
}

func (s *shell) wrapper(bin, name, script string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shell) copyExamples() {
	s.t.Helper()
	to := filepath.Join(s.dir, "examples")
	if err := os.CopyFS(to, os.DirFS(filepath.Join(docsRoot, "examples"))); err != nil {
		s.t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(to, "*", "envoy.yaml"))
	if err != nil || len(files) == 0 {
		s.t.Fatalf("the examples have no envoy.yaml: %v", err)
	}
	_, port, _ := strings.Cut(s.proxy, ":")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			s.t.Fatal(err)
		}
		if strings.Count(string(text), "port_value: 10000 ") != 1 {
			s.t.Fatalf("%s has no one listener at port 10000", file)
		}
		if err := os.WriteFile(file, []byte(strings.Replace(string(text), "port_value: 10000 ", "port_value: "+port+" ", 1)), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *shell) start(env []string) {
	s.t.Helper()
	codes, theirs, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command("sh")
	cmd.Dir, cmd.Env, cmd.ExtraFiles = s.dir, env, []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that all it starts can be ended
	in, err := cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	_ = theirs.Close()
	s.in, s.codes = in, bufio.NewReader(codes)
	s.t.Cleanup(func() {
		_ = in.Close()
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		_ = codes.Close()
	})
}

// killed is the end of a process in the background, by its id or a variable that has it.
var killed = regexp.MustCompile(`^kill (\$\S+); wait (\$\S+)`)

// typed runs a command and returns what it printed and its exit code. A document that
// ends what it began in the background sees to its exit code.
func (s *shell) typed(text string) (stdout, stderr string, code int) {
	s.t.Helper()
	if who := killed.FindStringSubmatch(text); who != nil && who[1] == who[2] {
		pid, _, _ := s.typed("echo " + who[1])
		s.jobs = slices.DeleteFunc(s.jobs, func(job string) bool { return job == strings.TrimSpace(pid) })
	}
	out, errs := filepath.Join(s.dir, "..", "stdout"), filepath.Join(s.dir, "..", "stderr")
	line := fmt.Sprintf("{ %s\n} </dev/null >%s 2>%s 3>&-; echo $? >&3\n", text, out, errs)
	answer := make(chan string, 1)
	go func() {
		if _, err := io.WriteString(s.in, line); err != nil {
			answer <- err.Error()
			return
		}
		code, err := s.codes.ReadString('\n')
		if err != nil {
			code = "the shell ended: " + err.Error()
		}
		answer <- strings.TrimSpace(code)
	}()
	var said string
	select {
	case said = <-answer:
	case <-time.After(shellPatience):
		s.t.Fatalf("%s: no end in %s", text, shellPatience)
	}
	var printed [2]string
	for i, file := range []string{out, errs} {
		content, err := os.ReadFile(file)
		if err != nil {
			s.t.Fatal(err)
		}
		printed[i] = string(content)
	}
	code, err := strconv.Atoi(said)
	if err != nil {
		s.t.Fatalf("%s: %s\n%s", text, said, printed[1])
	}
	return printed[0], printed[1], code
}

// proxyJob starts an Envoy in the background, and waits until it listens.
func (s *shell) proxyJob(text string) {
	s.t.Helper()
	s.begin(text)
	eventually(s.t, "a listening `"+text+"`", func() error {
		conn, err := net.Dial("tcp", s.proxy)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
}

// job starts a process of ours in the background, and waits until it is ready.
func (s *shell) job(text string) {
	s.t.Helper()
	s.begin(text)
	if data := sidecarData.FindStringSubmatch(text); data != nil {
		socket := filepath.Join(s.dir, data[1], "authz.sock")
		eventually(s.t, "a ready `"+text+"`", func() error { return serving(s.t, socket) })
		return
	}
	eventually(s.t, "a ready `"+text+"`", func() error {
		// As it would be typed: by what the document has exported.
		if _, stderr, code := s.typed("latchkey status"); code != 0 {
			return fmt.Errorf("exit code %d: %s", code, stderr)
		}
		return nil
	})
}

// begin starts a process in the background.
func (s *shell) begin(text string) {
	s.t.Helper()
	_, stderr, code := s.typed(text)
	if code != 0 {
		s.t.Fatalf("%s: exit code %d\n%s", text, code, stderr)
	}
	pid, _, _ := s.typed("echo $!")
	s.jobs = append(s.jobs, strings.TrimSpace(pid))
	log := filepath.Join(s.dir, "..", "job"+strings.TrimSpace(pid))
	// The next command has files of the same names: this one keeps writing into its own.
	if err := os.Rename(filepath.Join(s.dir, "..", "stderr"), log); err != nil {
		s.t.Fatal(err)
	}
}

// end ends what runs in the background. Each process must end in good order.
func (s *shell) end() {
	s.t.Helper()
	for len(s.jobs) > 0 {
		pid := s.jobs[len(s.jobs)-1]
		s.jobs = s.jobs[:len(s.jobs)-1]
		if _, _, code := s.typed(fmt.Sprintf("kill %s; wait %s", pid, pid)); code != 0 {
			s.t.Errorf("a process in the background ended with exit code %d", code)
		}
	}
}

// sidecarData is the folder of a sidecar, as it is typed.
var sidecarData = regexp.MustCompile(`^latchkey-sidecar .*--data (\S+)`)

// serving returns an error unless the process that answers on a socket can decide requests.
func serving(t *testing.T, socket string) error {
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err == nil && answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		err = errors.New(answer.GetStatus().String())
	}
	return err
}

// untilInterrupted runs a command that serves until Ctrl-C: an Envoy with an
// example in front of it. A request without a key must be refused by Latchkey.
// It returns what Envoy printed.
func (s *shell) untilInterrupted(text string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), shellPatience)
	defer cancel()
	host := map[string]string{"kodey": "api.kodey.example", "cuneiform": "api.cuneiform.example", "spotzee": "apix.spotzee.com", "shortkit": "api.shortkit.dev"}
	var fields []envoytest.Field
	for system, name := range host {
		if strings.Contains(text, "examples/"+system+"/") {
			fields = []envoytest.Field{{Name: "Host", Value: name}}
		}
	}
	if _, stderr, code := s.typed(text + " &"); code != 0 {
		s.t.Fatalf("%s: exit code %d\n%s", text, code, stderr)
	}
	out := filepath.Join(s.dir, "..", "envoy")
	if err := os.Rename(filepath.Join(s.dir, "..", "stdout"), out); err != nil {
		s.t.Fatal(err)
	}
	_, _, _ = s.typed("job=$!")
	eventually(s.t, "a 401 through `"+text+"`", func() error {
		answer, err := envoytest.H1(ctx, s.proxy, envoytest.Request("GET", "/v1/agents", fields, nil))
		if err == nil && answer.Status != 401 {
			err = fmt.Errorf("status %d", answer.Status)
		}
		return err
	})
	if _, _, code := s.typed("kill -INT $job; wait $job"); code != 0 {
		s.t.Errorf("%s: ended with exit code %d", text, code)
	}
	printed, err := os.ReadFile(out)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(printed)
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() error) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		err := holds()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("in %s there was never %s: %v", patience, what, err)
		}
	}
}

// mustBeFree returns an address that nobody listens at.
func mustBeFree(t *testing.T) string {
	t.Helper()
	address, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	return address
}
