// Package proc starts the processes that are measured, and says what they use.
package proc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// grace is how long a child may take to end once it is asked to.
const grace = 10 * time.Second

// Child is a process that we started and that we end, by its own handle.
type Child struct {
	name string
	cmd  *exec.Cmd
	log  string        // file of what it prints
	done chan struct{} // closed when it has ended
	err  error         // how; read after done
	stop sync.Once
}

// Start starts a process whose output goes to a file.
func Start(name, log, binary string, args ...string) (*Child, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	c := &Child{name: name, cmd: exec.Command(binary, args...), log: log, done: make(chan struct{})}
	c.cmd.Stdout, c.cmd.Stderr = file, file
	bind(c.cmd)
	if err := c.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w", name, err), file.Close())
	}
	go func() {
		c.err = errors.Join(c.cmd.Wait(), file.Close())
		close(c.done)
	}()
	return c, nil
}

// PID is its number.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// End asks the process to end, waits for it, and kills it if it takes too long. It may
// be called several times, and on nil.
func (c *Child) End() {
	if c == nil {
		return
	}
	c.stop.Do(func() {
		_ = c.cmd.Process.Signal(syscall.SIGTERM)
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-c.done:
		case <-timer.C:
			_ = c.cmd.Process.Kill()
		}
	})
	<-c.done
}

// Blame adds what the process printed last to an error about it.
func (c *Child) Blame(err error) error {
	if c == nil {
		return err
	}
	text, readErr := os.ReadFile(c.log)
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	const enough = 2000
	said := strings.TrimSpace(string(text))
	if len(said) > enough {
		said = "…" + said[len(said)-enough:]
	}
	if said == "" {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	return fmt.Errorf("%s: %w; it said last:\n%s", c.name, err, said)
}
