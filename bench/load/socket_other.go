//go:build !linux

package load

import (
	"errors"
	"time"
)

var errLinux = errors.New("load: connections are waited for by epoll: run it on Linux")

type event struct {
	index              int
	readable, writable bool
}

type poller struct{}

func newPoller() (*poller, error)                   { return nil, errLinux }
func (*poller) close() error                        { return errLinux }
func (*poller) add(int, int) error                  { return errLinux }
func (*poller) watchWrites(int, int, bool) error    { return errLinux }
func (*poller) wait(time.Duration) ([]event, error) { return nil, errLinux }
func dial(string, string) (int, error)              { return 0, errLinux }
func closeSocket(int) error                         { return errLinux }
func readSocket(int, []byte) (int, error)           { return 0, errLinux }
func writeSocket(int, []byte) (int, error)          { return 0, errLinux }
