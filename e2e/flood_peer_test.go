package e2e

import (
	"bytes"
	"context"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"
)

// pest is a connection to Check of somebody who speaks HTTP/2 as no gRPC client
// would. It keeps to the windows of the server, since who doesn't is cut off.
type pest struct {
	conn net.Conn
	*http2.Framer
	next   uint32
	block  bytes.Buffer
	fields *hpack.Encoder // into the block

	mu      sync.Mutex
	changed *sync.Cond
	window  int            // of the connection
	streams map[uint32]int // windows of the calls that are open
	gone    error          // why there is no connection any more
}

// newPest connects. Unless it is deaf it reads what the server sends, until the
// connection or the context ends.
func newPest(ctx context.Context, socket string, deaf bool, settings ...http2.Setting) (*pest, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	p := &pest{conn: c, Framer: http2.NewFramer(c, c), next: 1, window: 65535, streams: map[uint32]int{}}
	p.changed, p.fields = sync.NewCond(&p.mu), hpack.NewEncoder(&p.block)
	context.AfterFunc(ctx, func() { p.end(ctx.Err()) })
	_, err = io.WriteString(c, http2.ClientPreface)
	if err == nil {
		err = p.WriteSettings(settings...)
	}
	if err != nil {
		p.end(err)
		return nil, err
	}
	if !deaf {
		go p.listen()
	}
	return p, nil
}

func (p *pest) end(why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone == nil {
		p.gone = why
		_ = p.conn.Close()
		p.changed.Broadcast()
	}
}

func (p *pest) listen() {
	for {
		f, err := p.ReadFrame()
		if err != nil {
			p.end(err)
			return
		}
		p.mu.Lock()
		switch f := f.(type) {
		case *http2.WindowUpdateFrame:
			if f.StreamID == 0 {
				p.window += int(f.Increment)
			} else if _, open := p.streams[f.StreamID]; open {
				p.streams[f.StreamID] += int(f.Increment)
			}
		case *http2.RSTStreamFrame:
			delete(p.streams, f.StreamID)
		case *http2.HeadersFrame:
			if f.StreamEnded() {
				delete(p.streams, f.StreamID)
			}
		}
		p.changed.Broadcast()
		p.mu.Unlock()
	}
}

// call begins a call of Check, with further headers.
func (p *pest) call(more ...hpack.HeaderField) (uint32, error) {
	p.block.Reset()
	for _, f := range append([]hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: authv3.Authorization_Check_FullMethodName},
		{Name: ":authority", Value: "x"},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "te", Value: "trailers"},
	}, more...) {
		if err := p.fields.WriteField(f); err != nil {
			return 0, err
		}
	}
	id := p.next
	p.next += 2
	p.mu.Lock()
	p.streams[id] = 65535
	p.mu.Unlock()
	return id, p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.block.Bytes(), EndHeaders: true})
}

// send sends a part of a message as soon as the windows let it. It returns nil
// without having sent all of it where the server ended the call.
func (p *pest) send(id uint32, part []byte, last bool) error {
	for len(part) > 0 {
		p.mu.Lock()
		for p.gone == nil && (p.window == 0 || p.streams[id] == 0) {
			if _, open := p.streams[id]; !open {
				p.mu.Unlock()
				return nil
			}
			p.changed.Wait()
		}
		n := min(len(part), p.window, p.streams[id], 16384)
		p.window -= n
		p.streams[id] -= n
		gone := p.gone
		p.mu.Unlock()
		if gone != nil {
			return gone
		}
		if err := p.WriteData(id, last && n == len(part), part[:n]); err != nil {
			return err
		}
		part = part[n:]
	}
	return nil
}

// open returns how many calls the server hasn't ended.
func (p *pest) open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.streams)
}

// wait waits until the connection ends, or the time is over.
func (p *pest) wait(d time.Duration) {
	until := time.Now().Add(d)
	stop := time.AfterFunc(d, func() {
		p.mu.Lock() // not between the look at the time and the wait
		defer p.mu.Unlock()
		p.changed.Broadcast()
	})
	defer stop.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.gone == nil && time.Now().Before(until) {
		p.changed.Wait()
	}
}

// many are headers of a call that cost a byte each to send again, and as much
// memory as its limit permits.
var many = func() (fields []hpack.HeaderField) {
	for i := range 90 {
		fields = append(fields, hpack.HeaderField{Name: "x-" + strconv.Itoa(i), Value: "y"})
	}
	return fields
}()

// framed returns a message as gRPC frames it.
func framed(m proto.Message) ([]byte, error) {
	body, err := proto.Marshal(m)
	if err != nil {
		return nil, err
	}
	n := len(body)
	return append([]byte{0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, body...), nil
}

// ended returns why there is no connection any more, and nil while there is.
func (p *pest) ended() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone
}
