package envoytest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"
)

// Ending says how an exchange ended.
type Ending int

const (
	// Answered: a whole response came.
	Answered Ending = iota
	// Closed: the connection was closed before a whole response came.
	Closed
	// Reset: HTTP/2 RST_STREAM came before a whole response; Response.Code says why.
	Reset
	// GoAway: HTTP/2 GOAWAY with an error came, and then the end of the connection.
	GoAway
)

// String returns the ending as a word.
func (e Ending) String() string {
	switch e {
	case Answered:
		return "answered"
	case Closed:
		return "closed"
	case Reset:
		return "reset"
	case GoAway:
		return "goaway"
	}
	return fmt.Sprintf("Ending(%d)", int(e))
}

// Response is what a client got. A response that the server cut short keeps what came
// of it, with an Ending other than Answered.
type Response struct {
	Ending  Ending
	Code    uint32 // HTTP/2 error code of Reset and GoAway
	Status  int    // 0 when no response header came
	Header  http.Header
	Body    []byte
	Trailer http.Header
	Interim []int // statuses of 1xx responses that came before, 100 for one
}

// defaultDeadline bounds an exchange whose context has no deadline.
const defaultDeadline = time.Minute

// dial connects, and bounds everything on the connection by the context's deadline and
// cancellation. The caller calls done when finished with it.
func dial(ctx context.Context, addr string) (conn net.Conn, done func(), err error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(defaultDeadline)
	}
	d := net.Dialer{Deadline: deadline}
	conn, err = d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, nil, fmt.Errorf("envoytest: %w", err)
	}
	if err := conn.SetDeadline(deadline); err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("envoytest: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	return conn, func() { stop(); conn.Close() }, nil
}

// unlessEnded returns nil for an error that only says that the server ended the
// connection, and otherwise what went wrong: time ran out, the context was cancelled,
// or what came could not be read.
func unlessEnded(ctx context.Context, err error) error {
	var timeout net.Error
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("envoytest: no whole response: %w", context.Cause(ctx))
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("envoytest: no whole response in time: %w", err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return nil
	}
	return fmt.Errorf("envoytest: read the response: %w", err)
}
