package link

import (
	"net"
	"sync"
	"sync/atomic"
)

// AllowList is the Identities that an end of a link talks to, as they are now. Who
// is taken out is cut off where the connection was made with ServerCredentials or
// ClientCredentials; HTTP servers ask for each request. It is safe for concurrent
// use.
type AllowList struct {
	now atomic.Pointer[Identities]

	mu   sync.Mutex
	open map[*guarded]struct{}
}

// NewAllowList returns a list of these.
func NewAllowList(ids Identities) *AllowList {
	l := &AllowList{open: map[*guarded]struct{}{}}
	l.now.Store(&ids)
	return l
}

// Now returns who is in the list.
func (l *AllowList) Now() Identities { return *l.now.Load() }

// Set puts these in the place of those in the list, closes the connections of
// those who are in it no more, and returns how many it closed. Who is known by
// another name from now on is cut off too, and may come again under that.
func (l *AllowList) Set(ids Identities) (cut int) {
	l.now.Store(&ids)
	l.mu.Lock()
	var gone []*guarded
	for c := range l.open {
		if !c.still(ids) {
			gone = append(gone, c)
		}
	}
	l.mu.Unlock()
	for _, c := range gone {
		_ = c.Close() // it is of no use to anybody any more
	}
	return len(gone)
}

// guarded is a connection that ends when its peer is taken out of a list.
type guarded struct {
	net.Conn
	list  *AllowList
	still func(Identities) bool // written before it is in the list
}

// guard has a connection end when its peer is taken out of the list. It returns
// false for one whose peer is in it no more: the list changed during the handshake.
func (l *AllowList) guard(c *guarded, still func(Identities) bool) bool {
	c.still = still
	l.mu.Lock()
	defer l.mu.Unlock()
	if !still(l.Now()) {
		return false
	}
	l.open[c] = struct{}{}
	return true
}

// Close closes the connection.
func (c *guarded) Close() error {
	c.list.mu.Lock()
	delete(c.list.open, c)
	c.list.mu.Unlock()
	return c.Conn.Close()
}
