package serve

import (
	"net"
	"sync"
	"time"
)

// arrivalTime is how long connections that came before the end may take to become connections of HTTP/2: as soon as a
// peer on this machine or the next has said its first words.
const arrivalTime = 250 * time.Millisecond

// arrivals are the connections of a gRPC server that aren't of HTTP/2 yet. A server that stops waits for them, before
// all else and for as long as their peers say nothing: so they are cut. The zero value is empty.
type arrivals struct {
	mu   sync.Mutex
	open map[*arrival]struct{}
	over bool // no more are waited for
}

// listener notes what a listener accepts.
func (a *arrivals) listener(l net.Listener) net.Listener { return arrivalListener{l, a} }

type arrivalListener struct {
	net.Listener
	all *arrivals
}

func (l arrivalListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.all.add(c), nil
}

func (a *arrivals) add(c net.Conn) *arrival {
	one := &arrival{c, a}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		_ = c.Close()
		return one
	}
	if a.open == nil {
		a.open = map[*arrival]struct{}{}
	}
	a.open[one] = struct{}{}
	return one
}

// cut closes those that haven't come to be of HTTP/2, and all that come later.
func (a *arrivals) cut() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	for c := range a.open {
		_ = c.Conn.Close()
	}
	clear(a.open)
}

func (a *arrivals) done(c *arrival) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.open, c)
}

type arrival struct {
	net.Conn
	all *arrivals
}

// SetDeadline is called by gRPC with a time until which a connection has to be one of HTTP/2, and with none once it is.
func (c *arrival) SetDeadline(t time.Time) error {
	if t.IsZero() {
		c.all.done(c)
	}
	return c.Conn.SetDeadline(t)
}

// Close implements net.Conn.
func (c *arrival) Close() error {
	c.all.done(c)
	return c.Conn.Close()
}
