package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/latchkey/latchkey/internal/netns"
)

// node is a place of a fleet: a host, a data folder, and the process that runs there now. Faults come from one goroutine
// at a time; checks may come from many.
type node struct {
	name string
	host *netns.Host
	path string // of the program
	args []string
	data string
	log  *os.File // of all its processes

	died  func(error) // told of a process that ended by itself
	cmd   *exec.Cmd   // nil: none runs
	ended chan struct{}
	owed  *atomic.Bool // whether the process's end was asked for

	conn  *grpc.ClientConn
	check authv3.AuthorizationClient
}

// newNode returns a node that nothing runs at yet.
func newNode(dir, name string, host *netns.Host, program func() (string, error), died func(error)) (*node, error) {
	n := &node{name: name, host: host, data: filepath.Join(dir, name), died: died}
	var err error
	if n.path, err = program(); err != nil {
		return nil, err
	}
	if n.log, err = os.Create(filepath.Join(dir, name+".log")); err != nil {
		return nil, err
	}
	// A process that has just been started is asked at once, as Envoy's health checks would.
	n.conn, err = grpc.NewClient("unix:"+filepath.Join(n.data, "authz.sock"), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: 10 * time.Millisecond, Multiplier: 1.5, MaxDelay: 100 * time.Millisecond}}))
	if err != nil {
		return nil, err
	}
	n.check = authv3.NewAuthorizationClient(n.conn)
	return n, nil
}

// start executes the program, and doesn't wait.
func (n *node) start() error {
	cmd, ended, owed := exec.Command(n.path, n.args...), make(chan struct{}), &atomic.Bool{}
	cmd.Stdout, cmd.Stderr = n.log, n.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := n.host.Start(cmd); err != nil {
		return fmt.Errorf("starting %s: %w", n.name, err)
	}
	go func() {
		_ = cmd.Wait()
		if !owed.Load() {
			n.died(fmt.Errorf("%s ended by itself: %s: see %s", n.name, cmd.ProcessState, n.log.Name()))
		}
		close(ended)
	}()
	n.cmd, n.ended, n.owed = cmd, ended, owed
	return nil
}

// kill ends the process at once, also one that is stopped.
func (n *node) kill() error { return n.end(syscall.SIGKILL) }

// stop lets it end by itself.
func (n *node) stop() error { return n.end(syscall.SIGTERM) }

func (n *node) end(by syscall.Signal) error {
	if n.cmd == nil {
		return nil
	}
	n.owed.Store(true)
	cmd := n.cmd
	n.cmd = nil
	if err := cmd.Process.Signal(by); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-n.ended:
		return nil
	case <-time.After(patience):
		_ = cmd.Process.Kill()
		return fmt.Errorf("%s is still there %s after %s", n.name, patience, by)
	}
}

// freeze stops the process where it is, and thaw lets it go on.
func (n *node) freeze() error { return n.cmd.Process.Signal(syscall.SIGSTOP) }
func (n *node) thaw() error   { return n.cmd.Process.Signal(syscall.SIGCONT) }

func (n *node) close() error {
	return errors.Join(n.kill(), n.conn.Close(), n.log.Close())
}
