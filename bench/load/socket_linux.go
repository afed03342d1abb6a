package load

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// dial connects a socket that never blocks.
func dial(network, address string) (fd int, err error) {
	var to unix.Sockaddr
	family := unix.AF_UNIX
	if network == "unix" {
		to = &unix.SockaddrUnix{Name: address}
	} else {
		tcp, err := net.ResolveTCPAddr("tcp4", address)
		if err != nil {
			return 0, err
		}
		family = unix.AF_INET
		to = &unix.SockaddrInet4{Port: tcp.Port, Addr: tcp.AddrPort().Addr().Unmap().As4()}
	}
	if fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, unix.Close(fd))
		}
	}()
	if err := unix.Connect(fd, to); err != nil {
		return 0, err
	}
	if family == unix.AF_INET {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			return 0, err
		}
	}
	return fd, unix.SetNonblock(fd, true)
}

func closeSocket(fd int) error { return unix.Close(fd) }

// readSocket reads what there is, which may be nothing.
func readSocket(fd int, into []byte) (int, error) {
	n, err := unix.Read(fd, into)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return 0, nil
	case err != nil:
		return 0, err
	case n == 0 && len(into) > 0:
		return 0, fmt.Errorf("the server closed the connection: %w", io.ErrUnexpectedEOF)
	}
	return n, nil
}

// writeSocket writes as much as the kernel takes.
func writeSocket(fd int, from []byte) (int, error) {
	n, err := unix.Write(fd, from)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return 0, nil
	}
	return max(n, 0), err
}

// event is what a connection is ready for.
type event struct {
	index              int
	readable, writable bool
}

// poller waits for connections.
type poller struct {
	fd     int
	raw    []unix.EpollEvent
	events []event
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("load: making an epoll: %w", err)
	}
	return &poller{fd: fd, raw: make([]unix.EpollEvent, 512)}, nil
}

func (p *poller) close() error { return unix.Close(p.fd) }

func (p *poller) add(fd, index int) error {
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(index)})
}

func (p *poller) watchWrites(fd, index int, on bool) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(index)}
	if on {
		e.Events |= unix.EPOLLOUT
	}
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_MOD, fd, &e)
}

// wait returns what is ready, after the pause at the latest. epoll counts
// milliseconds, so for less the epoll itself is waited for.
func (p *poller) wait(pause time.Duration) ([]event, error) {
	timeout := int(pause / time.Millisecond)
	if rest := pause % time.Millisecond; rest != 0 {
		at := unix.NsecToTimespec(int64(pause))
		_, err := unix.Ppoll([]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}, &at, nil)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return nil, err
		}
		timeout = 0
	}
	n, err := unix.EpollWait(p.fd, p.raw, timeout)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return nil, err
	}
	p.events = p.events[:0]
	for _, e := range p.raw[:max(n, 0)] {
		const in = unix.EPOLLIN | unix.EPOLLHUP | unix.EPOLLERR // the read tells what is wrong
		p.events = append(p.events, event{int(e.Fd), e.Events&in != 0, e.Events&unix.EPOLLOUT != 0})
	}
	return p.events, nil
}
