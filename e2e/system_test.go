package e2e

import (
	"bytes"
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
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey/latchkey/e2e/world"
	"github.com/latchkey/latchkey/internal/envoytest"
	"github.com/latchkey/latchkey/internal/freeport"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/proto/latchkey/admin/v1/adminv1connect"

	"connectrpc.com/connect"
)

// patience bounds every wait for something that happens soon.
const patience = time.Minute

// binary builds the latchkey command once for all tests of the package, and sidecarBinary the one for pods.
var (
	binary        = sync.OnceValues(func() (string, error) { return build("latchkey") })
	sidecarBinary = sync.OnceValues(func() (string, error) { return build("latchkey-sidecar") })
)

// build builds a command, and returns where it is.
func build(name string) (string, error) {
	dir, err := os.MkdirTemp("", "latchkey-e2e-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	out, err := exec.Command("go", "build", "-o", path, "github.com/latchkey/latchkey/cmd/"+name).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", name, err, out)
	}
	return path, nil
}

// keptFolder makes a folder whose sockets' paths fit, with room for what is kept there after a failure.
func keptFolder(t *testing.T, what string) string {
	t.Helper()
	dir, err := envoytest.SocketDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("kept in %s: %s", dir, what)
			return
		}
		_ = os.RemoveAll(dir)
	})
	return dir
}

// server is a real `latchkey serve` with the four example policies.
type server struct {
	data   string
	level  string
	flags  []string  // besides
	stdout io.Writer // nil: the log
	http   string    // address of metrics and health
	log    *logBuffer
	cmd    *exec.Cmd
	exited chan struct{}
	keys   adminv1connect.KeyServiceClient
	dir    adminv1connect.DirectoryServiceClient
	policy adminv1connect.PolicyServiceClient
	about  adminv1connect.ServerServiceClient
}

// socket is where Envoy calls Check.
func (s *server) socket() string { return filepath.Join(s.data, "authz.sock") }

// admin is the flag value that reaches the admin API.
func (s *server) admin() string { return "unix:" + filepath.Join(s.data, "admin.sock") }

// serve starts a server with the example policies, or with the given ones,
// and waits until it is ready. It logs all that it has to say.
func serve(tb testing.TB, policies ...string) *server {
	tb.Helper()
	return serveAt(tb, "debug", policies...)
}

// serveAt is serve with another log level.
func serveAt(tb testing.TB, level string, policies ...string) *server {
	tb.Helper()
	dir, err := envoytest.SocketDir()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	if len(policies) == 0 {
		policies = examplePolicies(tb)
	}
	s := &server{data: filepath.Join(dir, "d"), http: freePort(tb), level: level}
	s.start(tb, policies...)
	return s
}

// examplePolicies are the files of the four example policies.
func examplePolicies(tb testing.TB) []string {
	tb.Helper()
	root, err := world.Root()
	if err != nil {
		tb.Fatal(err)
	}
	var files []string
	for _, name := range world.Systems {
		files = append(files, filepath.Join(root, "examples", name, "policy.yaml"))
	}
	return files
}

func (s *server) start(tb testing.TB, policies ...string) {
	tb.Helper()
	path, err := binary()
	if err != nil {
		tb.Fatal(err)
	}
	args := []string{"serve", "--data", s.data, "--http", s.http, "--log-level", s.level}
	for _, p := range policies {
		args = append(args, "--policy", p)
	}
	args = append(args, s.flags...)
	s.log = &logBuffer{}
	s.cmd = exec.Command(path, args...)
	s.cmd.Stdout, s.cmd.Stderr = s.stdout, s.log
	if s.stdout == nil {
		s.cmd.Stdout = s.log
	}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	s.exited = make(chan struct{})
	go func() { _ = s.cmd.Wait(); close(s.exited) }()
	tb.Cleanup(func() {
		s.stop()
		if tb.Failed() {
			tb.Logf("latchkey said last:\n%s", s.log.tail(40))
		}
	})
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(s.data, "admin.sock"))
		},
	}}
	const base = "http://localhost"
	s.keys = adminv1connect.NewKeyServiceClient(client, base)
	s.dir = adminv1connect.NewDirectoryServiceClient(client, base)
	s.policy = adminv1connect.NewPolicyServiceClient(client, base)
	s.about = adminv1connect.NewServerServiceClient(client, base)
	eventually(tb, "latchkey is ready", func() error {
		select {
		case <-s.exited:
			tb.Fatalf("latchkey ended:\n%s", s.log.tail(40))
		default:
		}
		status, err := s.about.GetStatus(tb.Context(), connect.NewRequest(&adminv1.GetStatusRequest{}))
		if err == nil && !status.Msg.GetReady() {
			err = fmt.Errorf("not ready: %v", status.Msg.GetProblems())
		}
		return err
	})
}

// stop ends the process in an orderly way and waits for it.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(patience):
		_ = s.cmd.Process.Kill()
		<-s.exited
	}
}

// metrics returns what /metrics says.
func (s *server) metrics(tb testing.TB) string {
	tb.Helper()
	resp, err := http.Get("http://" + s.http + "/metrics")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return string(body)
}

// cli runs the latchkey command against the server.
func (s *server) cli(tb testing.TB, stdin string, args ...string) (stdout, stderr string, code int) {
	tb.Helper()
	path, err := binary()
	if err != nil {
		tb.Fatal(err)
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(tb.Context(), path, args...)
	cmd.Env = append(os.Environ(), "LATCHKEY_ADMIN="+s.admin())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		tb.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// mesh is a real Envoy in front of a recording upstream, with one listener
// for each profile.
type mesh struct {
	envoy *envoytest.Envoy
	up    *envoytest.Upstream
}

// What Envoy has here and nowhere else, since the machine may be busy: time for a check, and health checks that may go
// without an answer.
const (
	checkTime  = 10 * time.Second // no more is printed
	unanswered = 30
)

// profiles are the two ways in which every test through Envoy is run.
var profiles = []envoytest.Profile{envoytest.Plain, envoytest.Hardened}

func startMesh(tb testing.TB, authzSocket string) *mesh {
	tb.Helper()
	up := envoytest.RunUpstream(tb)
	m := &mesh{up: up, envoy: envoytest.Run(tb, envoytest.Config{
		AuthzSocket: authzSocket, Upstream: up.Addr(), GRPCUpstream: up.GRPCAddr(), CheckTimeout: checkTime, CloseDelay: 20 * time.Millisecond,
		PolicyHeaders: []string{"x-team-id", "x-organization-id"}, UnhealthyThreshold: unanswered,
		Listeners: []envoytest.Listener{{Profile: envoytest.Plain}, {Profile: envoytest.Hardened}},
	})}
	m.awaitLatchkey(tb)
	return m
}

// awaitLatchkey: a hardened cluster waits for the first health check before it
// asks anybody. Latchkey's own answers carry cache-control, Envoy's don't.
func (m *mesh) awaitLatchkey(tb testing.TB) {
	tb.Helper()
	eventually(tb, "Envoy reaches latchkey", func() error {
		resp, err := envoytest.H1(tb.Context(), m.envoy.Addr(string(envoytest.Hardened)),
			envoytest.Request("GET", "/", []envoytest.Field{{Name: "Host", Value: "nobody.example"}, {Name: "Connection", Value: "close"}}, nil))
		if err == nil && resp.Header.Get("cache-control") == "" {
			err = fmt.Errorf("Envoy answers %d by itself", resp.Status)
		}
		return err
	})
}

// eventually polls until f returns nil.
func eventually(tb testing.TB, what string, f func() error) {
	tb.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			tb.Fatalf("%s: still not after %s: %v", what, patience, err)
		case <-tick.C:
		}
	}
}

// freePort returns an address that nobody listens at.
func freePort(tb testing.TB) string {
	tb.Helper()
	address, err := freeport.Address()
	if err != nil {
		tb.Fatal(err)
	}
	return address
}

// logBuffer keeps what a process writes.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) tail(lines int) string {
	all := strings.Split(l.String(), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
