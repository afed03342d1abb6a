package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/latchkey/latchkey/internal/oracle"
)

// quickly connects again at once to a process that isn't there yet.
var quickly = grpc.WithConnectParams(grpc.ConnectParams{
	Backoff: backoff.Config{BaseDelay: 5 * time.Millisecond, Multiplier: 1.2, MaxDelay: 50 * time.Millisecond}, MinConnectTimeout: patience,
})

// pod is a real latchkey-sidecar on its way to being killed.
type pod struct {
	cmd    *exec.Cmd
	log    *logBuffer
	exited chan struct{}
	killed atomic.Bool // set before the signal is sent: no answer is owed from then on
	conn   *grpc.ClientConn
	check  authv3.AuthorizationClient
	http   *http.Transport
}

// startPod executes the program on a data folder, and doesn't wait. Its sockets are in that folder.
func startPod(data, name string, flags ...string) (*pod, error) {
	path, err := sidecarBinary()
	if err != nil {
		return nil, err
	}
	p := &pod{log: &logBuffer{}, exited: make(chan struct{})}
	debug := data + ".http" // the folder may not be there yet
	p.cmd = exec.Command(path, append([]string{"--data", data, "--listen", "unix:" + data + ".sock", "--http", "unix:" + debug, "--name", name}, flags...)...)
	p.cmd.Env = append(os.Environ(), "GOMAXPROCS=2")
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.http = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", debug)
	}}
	if p.conn, err = grpc.NewClient("unix:"+data+".sock", grpc.WithTransportCredentials(insecure.NewCredentials()), quickly); err != nil {
		return nil, err
	}
	p.check = authv3.NewAuthorizationClient(p.conn)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = p.cmd.Wait(); close(p.exited) }()
	return p, nil
}

// ask presents a token to Check, and returns the status of the answer: 200 where it is let through. It waits for the
// process to listen.
func (p *pod) ask(ctx context.Context, kind *keyKind, token string) (int, error) {
	return askCheck(ctx, p.check, kind, token)
}

func askCheck(ctx context.Context, check authv3.AuthorizationClient, kind *keyKind, token string) (int, error) {
	q := oracle.Request{Method: "GET", Host: kind.host, Path: kind.path, Headers: []oracle.Header{{Name: "authorization", Value: "Bearer " + token}}}
	got, err := check.Check(ctx, checkRequest(q), grpc.WaitForReady(true))
	switch {
	case err != nil:
		return 0, fmt.Errorf("Check: %w", err)
	case got.GetDeniedResponse() != nil:
		return int(got.GetDeniedResponse().GetStatus().GetCode()), nil
	case got.GetErrorResponse() != nil:
		return int(got.GetErrorResponse().GetStatus().GetCode()), nil
	case got.GetOkResponse() != nil:
		return http.StatusOK, nil
	}
	return 0, errors.New("Check: an answer without a verdict")
}

// revision is what the process says of its store, over its metrics.
func (p *pod) revision(ctx context.Context) (uint64, error) {
	n, err := p.gauge(ctx, "latchkey_store_revision")
	return uint64(n), err
}

// gauge is a metric of the process that has no labels.
func (p *pod) gauge(ctx context.Context, name string) (float64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://sidecar/metrics", nil)
	if err != nil {
		return 0, err
	}
	answer, err := (&http.Client{Transport: p.http}).Do(r)
	if err != nil {
		return 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(text, 64)
		}
	}
	return 0, fmt.Errorf("the metrics have no %s", name)
}

// kill ends the process at once, and makes sure that it was this that ended it.
func (p *pod) kill() error {
	p.killed.Store(true)
	defer func() { _ = p.conn.Close(); p.http.CloseIdleConnections() }()
	return endProcess(p.cmd, p.exited, p.log, syscall.SIGKILL, killed)
}

// awaitRevision waits until the store is at least at a revision.
func (p *pod) awaitRevision(ctx context.Context, revision uint64) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		at, err := p.revision(ctx)
		if err == nil && at >= revision {
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("latchkey-sidecar ended: %s", p.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("latchkey-sidecar doesn't catch up: it is at revision %d and should come to %d (%w)", at, revision, err)
		case <-tick.C:
		}
	}
}
