package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"connectrpc.com/connect"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/proto/latchkey/admin/v1/adminv1connect"
)

// victim is a real `latchkey serve` on its way to being killed. It is given no
// policy files: all that it knows after a start is what its store kept.
type victim struct {
	began  time.Time // when it was executed
	cmd    *exec.Cmd
	log    *logBuffer
	exited chan struct{}
	killed atomic.Bool // set before the signal is sent: no answer is owed from then on

	http   *http.Transport
	conn   *grpc.ClientConn
	keys   adminv1connect.KeyServiceClient
	dir    adminv1connect.DirectoryServiceClient
	policy adminv1connect.PolicyServiceClient
	about  adminv1connect.ServerServiceClient
	check  authv3.AuthorizationClient
}

// startVictim executes the program on a data folder, with more flags if there are any, and doesn't wait.
func startVictim(data string, flags ...string) (*victim, error) {
	path, err := binary()
	if err != nil {
		return nil, err
	}
	v := &victim{log: &logBuffer{}, exited: make(chan struct{})}
	// A socket for metrics too: a port could be anybody's by the next start.
	v.cmd = exec.Command(path, append([]string{"serve", "--data", data, "--http", "unix:" + filepath.Join(filepath.Dir(data), "http.sock")}, flags...)...)
	v.cmd.Stdout, v.cmd.Stderr = v.log, v.log
	v.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	v.http = &http.Transport{MaxIdleConnsPerHost: 8, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(data, "admin.sock"))
	}}
	client, base := &http.Client{Transport: v.http}, "http://localhost"
	v.keys = adminv1connect.NewKeyServiceClient(client, base)
	v.dir = adminv1connect.NewDirectoryServiceClient(client, base)
	v.policy = adminv1connect.NewPolicyServiceClient(client, base)
	v.about = adminv1connect.NewServerServiceClient(client, base)
	if v.conn, err = grpc.NewClient("unix:"+filepath.Join(data, "authz.sock"), grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		return nil, err
	}
	v.check = authv3.NewAuthorizationClient(v.conn)
	v.began = time.Now()
	if err := v.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = v.cmd.Wait(); close(v.exited) }()
	return v, nil
}

// answers waits until the process answers on its admin socket, and returns
// its status and how long that took from the execution on.
func (v *victim) answers(ctx context.Context) (*adminv1.GetStatusResponse, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		status, err := v.about.GetStatus(ctx, connect.NewRequest(&adminv1.GetStatusRequest{}))
		if err == nil {
			return status.Msg, time.Since(v.began), nil
		}
		select {
		case <-v.exited:
			return nil, 0, fmt.Errorf("latchkey doesn't start: %s", v.cmd.ProcessState)
		case <-ctx.Done():
			return nil, 0, fmt.Errorf("latchkey doesn't answer: %w", err)
		case <-tick.C:
		}
	}
}

// kill ends the process at once, and makes sure that it was this that ended it.
func (v *victim) kill() error {
	v.killed.Store(true)
	return v.end(syscall.SIGKILL, killed)
}

// stop lets the process end by itself.
func (v *victim) stop() error {
	return v.end(syscall.SIGTERM, endedByItself)
}

func (v *victim) end(by syscall.Signal, well func(syscall.WaitStatus) bool) error {
	defer func() { _ = v.conn.Close(); v.http.CloseIdleConnections() }()
	return endProcess(v.cmd, v.exited, v.log, by, well)
}

// endProcess sends a signal, and makes sure that it was this that ended the process, and ended it well.
func endProcess(cmd *exec.Cmd, exited <-chan struct{}, log *logBuffer, by syscall.Signal, well func(syscall.WaitStatus) bool) error {
	sent := cmd.Process.Signal(by)
	select {
	case <-exited:
	case <-time.After(patience):
		_ = cmd.Process.Kill()
		return fmt.Errorf("latchkey is still there %s after %s", patience, by)
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !well(status) {
		return fmt.Errorf("latchkey ended by itself: %s (%w)", cmd.ProcessState, errors.Join(sent, errDied))
	}
	for _, word := range []string{"panic", "fatal error", "goroutine "} {
		if strings.Contains(log.String(), word) {
			return fmt.Errorf("latchkey's log has the word %q: %w", word, errDied)
		}
	}
	return nil
}

func killed(s syscall.WaitStatus) bool        { return s.Signaled() && s.Signal() == syscall.SIGKILL }
func endedByItself(s syscall.WaitStatus) bool { return s.Exited() && s.ExitStatus() == 0 }

var errDied = errors.New("see its log")
