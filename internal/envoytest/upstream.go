package envoytest

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"google.golang.org/grpc"
)

// Upstream is the service behind Envoy: an HTTP/1 and a gRPC server that answer
// whatever they are asked and keep a Record of it.
//
// HTTP requests are answered 200 with a JSON echo, WebSocket handshakes 101 and then
// an echo of every byte. gRPC calls of any method get their messages back, and their
// metadata as headers and trailers with the prefix "echo-". A request is recorded
// before it is answered, so that a client with an answer in hand finds the record.
//
// Methods are safe for concurrent use.
type Upstream struct {
	records records
	h1      net.Listener
	grpc    *grpc.Server
	grpcLn  net.Listener

	mu     sync.Mutex
	conns  map[net.Conn]struct{} // nil once closed
	served sync.WaitGroup
}

// StartUpstream opens both servers on ports of 127.0.0.1 that the kernel chooses. The
// caller closes them.
func StartUpstream() (*Upstream, error) {
	h1, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("envoytest: %w", err)
	}
	h2, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h1.Close()
		return nil, fmt.Errorf("envoytest: %w", err)
	}
	u := &Upstream{h1: h1, grpcLn: h2, conns: map[net.Conn]struct{}{}}
	u.grpc = u.newGRPCServer()
	u.served.Go(u.acceptLoop)
	u.served.Go(func() { _ = u.grpc.Serve(h2) })
	return u, nil
}

// Addr returns the host:port of the HTTP/1 server.
func (u *Upstream) Addr() string { return u.h1.Addr().String() }

// GRPCAddr returns the host:port of the gRPC server.
func (u *Upstream) GRPCAddr() string { return u.grpcLn.Addr().String() }

// Take returns what arrived with an x-case header of this value, in order of arrival,
// and forgets it. The empty id takes the requests that had none, smuggled ones among
// them. Records that nobody takes are dropped after some thousands.
func (u *Upstream) Take(id string) []Record { return u.records.take(id) }

// Count returns how many requests have arrived since the start.
func (u *Upstream) Count() uint64 { return u.records.count() }

// Close closes the listeners and every connection, and waits for the rest to end.
func (u *Upstream) Close() {
	u.h1.Close()
	u.mu.Lock()
	for c := range u.conns {
		c.Close()
	}
	u.conns = nil
	u.mu.Unlock()
	u.grpc.Stop()
	u.served.Wait()
}

func (u *Upstream) acceptLoop() {
	for {
		conn, err := u.h1.Accept()
		if err != nil {
			return // closed
		}
		u.mu.Lock()
		closed := u.conns == nil
		if !closed {
			u.conns[conn] = struct{}{}
		}
		u.mu.Unlock()
		if closed {
			conn.Close()
			return
		}
		u.served.Go(func() {
			u.serve(conn)
			conn.Close()
			u.mu.Lock()
			delete(u.conns, conn)
			u.mu.Unlock()
		})
	}
}

// serve answers the requests of one connection until it ends or cannot be read.
func (u *Upstream) serve(conn net.Conn) {
	in := bufio.NewReader(conn)
	for {
		rec, err := readRequest(in)
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				fmt.Fprintf(conn, "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
			}
			return
		}
		u.records.add(rec)
		if upgrade, _ := rec.Get("upgrade"); strings.EqualFold(upgrade, "websocket") {
			if _, err := io.WriteString(conn, switchingProtocols(rec)); err == nil {
				_, _ = io.Copy(conn, in)
			}
			return
		}
		if _, err := conn.Write(echo(rec)); err != nil {
			return
		}
	}
}

// switchingProtocols is the server's half of the WebSocket handshake, RFC 6455 4.2.2.
func switchingProtocols(rec Record) string {
	key, _ := rec.Get("sec-websocket-key")
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n" +
		"sec-websocket-accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n"
}

// Echo is the JSON body of the upstream's answers. Bytes that are not UTF-8 are
// replaced in it; Record has them as they were.
type Echo struct {
	Method    string      `json:"method"`
	Path      string      `json:"path"`
	Host      string      `json:"host"`
	Headers   [][2]string `json:"headers"` // name and value, in order of arrival
	BodyBytes int64       `json:"body_bytes"`
}

func echo(rec Record) []byte {
	e := Echo{Method: rec.Method, Path: rec.Path, Host: rec.Host, Headers: [][2]string{}, BodyBytes: rec.BodyBytes}
	for _, f := range rec.Header {
		e.Headers = append(e.Headers, [2]string{f.Name, f.Value})
	}
	body, err := json.Marshal(e)
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	body = append(body, '\n')
	out := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n", len(body))
	if rec.Method != http.MethodHead {
		out = append(out, body...)
	}
	return out
}
