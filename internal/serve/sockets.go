package serve

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// maxSockets are open for one address at the same time. What removes them again and again must not take all the files that a
// process may open.
const maxSockets = 8

// sockets are those of one Unix address: the one that was made last, and those before that somebody else took from their place.
// They may be reached all the same, by another name or as a mount of the file, and are listened on too. It is a net.Listener.
type sockets struct {
	address Address
	mode    fs.FileMode

	accepted chan acceptance
	over     chan struct{} // closed with all of them
	begin    sync.Once

	mu        sync.Mutex
	open      []*socket // oldest first
	accepting bool
	closed    bool
}

// socket is a listener with the file by which it was made.
type socket struct {
	net.Listener
	file fs.FileInfo
}

// acceptance is what came of a wait for a connection.
type acceptance struct {
	conn net.Conn
	err  error
}

// renew makes the socket where its place has none of ours, and reports whether it did. It never takes the place of another
// process that answers, nor of a file that is no socket: that is the error.
func (s *sockets) renew() (made bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.inPlace() {
		return false, nil
	}
	one, err := s.address.listen(s.mode)
	if err != nil {
		return false, err
	}
	if len(s.open) == maxSockets {
		_ = s.open[0].Close() // whatever comes of it, nobody is to reach it any more
		s.open = slices.Delete(s.open, 0, 1)
	}
	s.open = append(s.open, one)
	if s.accepting {
		go s.accept(one)
	}
	return true, nil
}

// inPlace reports whether one of ours is what the address leads to. mu must be held.
func (s *sockets) inPlace() bool {
	now, err := os.Lstat(s.address.target)
	return err == nil && slices.ContainsFunc(s.open, func(one *socket) bool { return os.SameFile(now, one.file) })
}

// accept hands on the connections of one socket until it is closed.
func (s *sockets) accept(one *socket) {
	for {
		conn, err := one.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		select {
		case s.accepted <- acceptance{conn, err}:
		case <-s.over:
			if err == nil {
				_ = conn.Close()
			}
			return
		}
	}
}

// Accept implements net.Listener.
func (s *sockets) Accept() (net.Conn, error) {
	s.begin.Do(func() { // and never again waits for whom the file system keeps waiting
		s.mu.Lock()
		defer s.mu.Unlock()
		s.accepting = true
		for _, one := range s.open {
			go s.accept(one)
		}
	})
	select {
	case a := <-s.accepted:
		return a.conn, a.err
	case <-s.over:
		return nil, &net.OpError{Op: "accept", Net: "unix", Addr: s.Addr(), Err: net.ErrClosed}
	}
}

// Addr implements net.Listener.
func (s *sockets) Addr() net.Addr { return &net.UnixAddr{Name: s.address.target, Net: "unix"} }

// Close closes all of them and removes the one that is in its place, unless another process has put its own there.
func (s *sockets) Close() (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("closing %s: %w", s.address, net.ErrClosed)
	}
	s.closed = true
	close(s.over)
	for _, one := range s.open {
		err = errors.Join(err, one.Close())
	}
	// Else another process could put its own there between the look and the removal.
	unlock, lockErr := lockFolder(filepath.Dir(s.address.target))
	if lockErr != nil {
		return errors.Join(err, lockErr) // what is left there is stale, and the next process removes it
	}
	defer unlock()
	if s.inPlace() {
		err = errors.Join(err, os.Remove(s.address.target))
	}
	return err
}
