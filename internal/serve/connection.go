package serve

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// connections are those of a listener, never more than maxConnections.
type connections struct {
	refusals *refusals
	// generation changes every messageTime. It tells calls that wait since before
	// the last change from others, for the price of a counter.
	generation atomic.Uint32
	waiting    atomic.Int64 // calls beyond the fair share of their connections
	queued     atomic.Int64 // calls of all connections that came and whose turn it isn't yet

	mu   sync.Mutex
	open map[*connection]struct{}
}

// connection is one of them.
type connection struct {
	net.Conn
	all       *connections
	fragments fragments       // of the reader's goroutine alone
	waiting   [2]atomic.Int32 // calls whose message isn't there, by generation
	queued    atomic.Int64    // calls that came and whose turn it isn't yet
	closed    atomic.Bool
	writing   atomic.Int64 // since when a write is under way, in nanoseconds; 0 for none
	written   sync.Mutex   // held by it
	once      sync.Once
}

// peerAddress leads from the context of a call to its connection.
type peerAddress struct {
	net.Addr
	connection *connection
}

// boundedListener accepts the connections, and refuses those beyond the limit
// at once: whoever waits in a queue isn't told why.
type boundedListener struct {
	net.Listener
	all *connections
}

func (l boundedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if own := l.all.add(c); own != nil {
			return own, nil
		}
		// Counted first: who is told has been counted.
		l.all.refusals.add(connectionsLimit, "a connection was refused", maxConnections)
		refuse(c)
	}
}

// refuse says in HTTP/2 why it closes a connection, to whoever listens.
func refuse(c net.Conn) {
	defer func() { _ = c.Close() }()
	if c.SetWriteDeadline(time.Now().Add(time.Second)) != nil {
		return
	}
	f := http2.NewFramer(c, nil)
	if f.WriteSettings() == nil {
		_ = f.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, []byte("too many connections: "+remedies[connectionsLimit]))
	}
}

func (a *connections) add(c net.Conn) *connection {
	own := &connection{Conn: c, all: a}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.open) >= maxConnections {
		return nil
	}
	if a.open == nil {
		a.open = map[*connection]struct{}{}
	}
	a.open[own] = struct{}{}
	return own
}

// sweep closes the connections with calls that wait for their message since the
// last but one sweep or longer.
func (a *connections) sweep() {
	var slow []*connection
	a.mu.Lock()
	old := (a.generation.Load() + 1) & 1
	for c := range a.open {
		if c.waiting[old].Load() > 0 {
			slow = append(slow, c)
		}
	}
	a.generation.Add(1)
	a.mu.Unlock()
	for _, c := range slow {
		c.end(timeLimit, "a message didn't come to its end", int(messageTime.Seconds()))
	}
}

// end closes a connection because of a limit.
func (c *connection) end(l limit, what string, max int) {
	c.all.refusals.add(l, what+": its connection was closed", max, "address", c.Conn.RemoteAddr().String())
	_ = c.Close()
}

func (c *connection) Close() error {
	c.once.Do(func() {
		c.closed.Store(true)
		c.forget()
		c.all.mu.Lock()
		defer c.all.mu.Unlock()
		delete(c.all.open, c)
	})
	return c.Conn.Close()
}

func (c *connection) RemoteAddr() net.Addr { return peerAddress{c.Conn.RemoteAddr(), c} }

var errFragments = errors.New("messages are cut into too many pieces")

// Read reads nothing from a peer who doesn't read: gRPC would put aside an answer
// to each of 10,000 frames before it stopped.
func (c *connection) Read(b []byte) (int, error) {
	if since := c.writing.Load(); since != 0 && time.Now().UnixNano()-since > int64(writePatience) {
		c.awaitWrite()
	}
	c.awaitTurn()
	n, err := c.Conn.Read(b)
	before := c.fragments.calls
	whole := c.fragments.read(b[:n])
	c.queue(int64(c.fragments.calls - before))
	if !whole {
		c.end(fragmentsLimit, "messages are cut into too many pieces", maxFragments)
		return 0, errFragments
	}
	return n, err
}

// queue counts calls that came.
func (c *connection) queue(calls int64) {
	if calls == 0 {
		return
	}
	c.queued.Add(calls)
	c.all.queued.Add(calls)
	if c.closed.Load() {
		c.forget()
	}
}

// begin notes that it is a call's turn: one that is counted, if there is any.
func (c *connection) begin() {
	if c == nil {
		return
	}
	for n := c.queued.Load(); n > 0; n = c.queued.Load() {
		if c.queued.CompareAndSwap(n, n-1) {
			c.all.queued.Add(-1)
			return
		}
	}
}

// forget counts no call of the connection any more.
func (c *connection) forget() { c.all.queued.Add(-c.queued.Swap(0)) }

// awaitTurn waits while too many calls have come and nobody got to them, as long
// as some are of this connection: messages that came whole lie in memory until
// then, and gRPC would go on reading. It ends by itself, since frames don't tell
// which calls were refused, or ended before they began, and count for nothing.
func (c *connection) awaitTurn() {
	if c.queued.Load() <= fairShare || c.all.queued.Load() <= maxQueued {
		return
	}
	for until := time.Now().Add(turnTime); c.queued.Load() > fairShare && c.all.queued.Load() > maxQueued && !c.closed.Load(); {
		if time.Now().After(until) {
			c.forget()
			return
		}
		time.Sleep(turnPatience)
	}
}

func (c *connection) awaitWrite() {
	c.written.Lock()
	defer c.written.Unlock()
}

// Write gives up on a peer that doesn't read.
func (c *connection) Write(b []byte) (int, error) {
	c.written.Lock()
	defer c.written.Unlock()
	now := time.Now()
	c.writing.Store(now.UnixNano())
	defer c.writing.Store(0)
	if err := c.SetWriteDeadline(now.Add(writeTime)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.end(readingLimit, "a peer didn't read what it is sent", int(writeTime.Seconds()))
	}
	return n, err
}
