package load

import "fmt"

// call is one request under way.
type call struct {
	request int   // its number in the plan
	at      int64 // when it was sent, or was to be
}

// wire is a protocol as one connection speaks it.
type wire interface {
	// hello appends what a client says first.
	hello(out []byte) []byte
	// room reports whether one more request may be begun now.
	room() bool
	// begin appends the bytes of a request.
	begin(out []byte, of call) []byte
	// take reads what it can of in, tells of each whole answer, appends what the
	// protocol wants said in turn, and returns how much it has read.
	take(in, out []byte, done func(of call, status int)) (used int, _ []byte, err error)
	// open tells of each call that has no answer yet.
	open(f func(of call))
}

// conn is one connection and what is to be read from and written to it.
type conn struct {
	fd      int
	wire    wire
	in      []byte // read and not yet taken: in[:held]
	held    int
	out     []byte
	wanted  int  // how many requests a closed loop wants to begin here
	blocked bool // the kernel takes no more for now
	watched bool // the poller tells when it does
	done    func(of call, status int)
}

// inBuffer is more than an answer ever has.
const inBuffer = 256 << 10

func (r *run) connect(index int) (*conn, error) {
	fd, err := dial(r.plan.Network, r.plan.Address)
	if err != nil {
		return nil, err
	}
	c := &conn{fd: fd, in: make([]byte, inBuffer)}
	if r.plan.Protocol == HTTP1 {
		c.wire = &http1{requests: r.plan.Requests}
	} else {
		c.wire = newHTTP2(r.plan.Requests)
	}
	c.done = func(of call, status int) { r.done(c, of, status) }
	c.out = c.wire.hello(c.out)
	if r.plan.Rate == 0 {
		c.wanted = (r.plan.InFlight + index) / r.plan.Connections
	}
	if err := r.poll.add(fd, index); err != nil {
		return nil, fmt.Errorf("%w, and closing it: %w", err, closeSocket(fd))
	}
	return c, nil
}

// receive reads what has come and takes it apart.
func (c *conn) receive(r *run) error {
	n, err := readSocket(c.fd, c.in[c.held:])
	if err != nil {
		return err
	}
	r.arrived = r.now()
	c.held += n
	var used int
	if used, c.out, err = c.wire.take(c.in[:c.held], c.out, c.done); err != nil {
		return err
	}
	if used == 0 && c.held == len(c.in) {
		return fmt.Errorf("an answer is longer than %d bytes", len(c.in))
	}
	c.held = copy(c.in, c.in[used:c.held])
	return nil
}

// flush writes what there is to write, as far as the kernel takes it.
func (c *conn) flush(p *poller, index int) error {
	if len(c.out) > 0 && !c.blocked {
		n, err := writeSocket(c.fd, c.out)
		if err != nil {
			return err
		}
		c.out = c.out[:copy(c.out, c.out[n:])]
		c.blocked = len(c.out) > 0
	}
	if c.blocked == c.watched {
		return nil
	}
	c.watched = c.blocked
	return p.watchWrites(c.fd, index, c.watched)
}

func (c *conn) close() error { return closeSocket(c.fd) }
