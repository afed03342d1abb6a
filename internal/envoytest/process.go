package envoytest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Process is a child that is ended by its own handle, or with this process, and whose last words are kept. Its methods are safe
// for concurrent use.
type Process struct {
	cmd  *exec.Cmd
	out  *tail
	done chan struct{} // closed when the child has been waited for
	err  error         // how it ended; read after done
	stop sync.Once
}

// StartProcess runs a command whose output goes to file, to log if that is not nil,
// and into the tail that errors quote. The caller ends it.
func StartProcess(cmd *exec.Cmd, file string, log io.Writer) (*Process, error) {
	return StartProcessBy((*exec.Cmd).Start, cmd, file, log)
}

// StartProcessBy is StartProcess where something else than the command itself starts it, such as a host with a network of its own.
func StartProcessBy(start func(*exec.Cmd) error, cmd *exec.Cmd, file string, log io.Writer) (*Process, error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, out: &tail{max: 4 << 10}, done: make(chan struct{})}
	sinks := []io.Writer{f, p.out}
	if log != nil {
		sinks = append(sinks, log)
	}
	cmd.Stdout = io.MultiWriter(sinks...)
	cmd.Stderr = cmd.Stdout // one writer, so os/exec copies both in one goroutine
	cmd.WaitDelay = 5 * time.Second
	endWithParent(cmd)
	if err := start(cmd); err != nil {
		f.Close()
		return nil, err
	}
	go func() {
		p.err = errors.Join(cmd.Wait(), f.Close())
		close(p.done)
	}()
	return p, nil
}

// Done is closed when the child has ended, by End or by itself.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err returns how the child ended: nil for the exit code 0. Ask once Done is closed.
func (p *Process) Err() error { return p.err }

// LogTail returns the end of what the child printed.
func (p *Process) LogTail() string { return p.out.String() }

// End asks the child to end, and after grace kills it. Safe to call more than once.
func (p *Process) End(grace time.Duration) {
	p.stop.Do(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-p.done:
		case <-timer.C:
			_ = p.cmd.Process.Kill()
		}
	})
	<-p.done
}

// Blame adds what the child said last to an error about it.
func (p *Process) Blame(err error) error {
	if said := p.LogTail(); said != "" {
		return fmt.Errorf("%w; it said last:\n%s", err, said)
	}
	return err
}

// tail keeps the last max bytes written to it. Safe for concurrent use.
type tail struct {
	mu  sync.Mutex
	max int
	buf []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if over := len(t.buf) - t.max; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.buf))
}
