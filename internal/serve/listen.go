package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Listener is an open listener with the address that it was asked for.
type Listener struct {
	net.Listener
	address Address
	sockets *sockets // it goes by; nil for TCP
}

// Listen opens a listener. A Unix socket has the given mode from the moment it
// can be seen, and takes the place of a socket that nobody answers at.
func (a Address) Listen(mode fs.FileMode) (*Listener, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	if !a.IsUnix() {
		l, err := net.Listen(a.network, a.target)
		if err != nil {
			return nil, fmt.Errorf("listening on %s: %w", a, err)
		}
		return &Listener{l, Address{a.network, l.Addr().String()}, nil}, nil
	}
	s := &sockets{address: a, mode: mode, accepted: make(chan acceptance), over: make(chan struct{})}
	if _, err := s.renew(); err != nil {
		return nil, err
	}
	return &Listener{s, a, s}, nil
}

// listen makes the socket of an address, and takes the place of one that nobody answers at.
func (a Address) listen(mode fs.FileMode) (*socket, error) {
	// Of two that are started at once one makes the socket and the other sees it.
	unlock, err := lockFolder(filepath.Dir(a.target))
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", a, err)
	}
	defer unlock()
	if err := a.vacant(); err != nil {
		return nil, err
	}
	l, err := listenUnix(a.target, mode)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", a, err)
	}
	file, err := os.Lstat(a.target)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listening on %s: %w", a, err), l.Close())
	}
	return &socket{l, file}, nil
}

// listenUnix binds the socket in a folder of its own and moves it to its path
// once it has its mode: a socket is open to whom the umask lets in until then.
func listenUnix(path string, mode fs.FileMode) (net.Listener, error) {
	private, err := os.MkdirTemp(filepath.Dir(path), ".")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(private) }() // empty by then
	bound := filepath.Join(private, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: bound, Net: "unix"})
	if err != nil {
		if len(bound) > maxSocketPath {
			return nil, fmt.Errorf("the path is too long by %d bytes: choose a shorter one", len(bound)-maxSocketPath)
		}
		return nil, err
	}
	l.SetUnlinkOnClose(false) // it isn't at that path any more
	if err := errors.Join(os.Chmod(bound, mode), os.Rename(bound, path)); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// vacant returns an error unless the socket may be made: there is nothing at
// its path, or a socket that a process which is gone left behind.
func (a Address) vacant() error {
	info, err := os.Lstat(a.target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("listening on %s: %w", a, err)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("listening on %s: what is there is no socket: move it away or choose another path", a)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := a.Dial(ctx)
	if err == nil {
		return errors.Join(fmt.Errorf("listening on %s: another process answers there: stop it or choose another path", a), conn.Close())
	}
	if !NobodyListens(err) {
		return fmt.Errorf("listening on %s: cannot tell whether another process is there: %w", a, err)
	}
	return nil
}

// Address returns where it listens, with the port that the kernel chose.
func (l *Listener) Address() Address { return l.address }
