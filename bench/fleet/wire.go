package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	grpcPrefix = 5 // of every message: compressed or not, length
	readBuffer = 4 << 10
	// ourWindow is what the hub may send before we say more. It is more than it ever does at once.
	ourWindow = 1 << 30
	// theirWindow is what we may send before the hub says more.
	theirWindow = 65535
	// longestMessage is of a hub's message.
	longestMessage = 64 << 20
	streamID       = 1
)

// call is one call of gRPC that goes on, on a connection of its own: HTTP/2 as far as that needs it. A client of
// grpc-go would take several times the memory and CPU, of which a machine with a whole fleet on it has little. Only
// one goroutine may receive; send may be called by others.
type call struct {
	conn    net.Conn
	in      *http2.Framer
	took    uint32 // bytes since the last word about our windows
	message []byte // that is coming

	mu      sync.Mutex
	buffer  bytes.Buffer
	out     *http2.Framer // to the buffer
	windows [2]int        // that the hub has left us, of the connection and of the stream
}

// begin begins a call of a method over a connection that it takes over.
func begin(conn net.Conn, method string) (*call, error) {
	c := &call{conn: conn, windows: [2]int{theirWindow, theirWindow}}
	c.in = http2.NewFramer(nil, bufio.NewReaderSize(conn, readBuffer))
	c.in.SetReuseFrames()
	c.in.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.out = http2.NewFramer(&c.buffer, nil)
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range []hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: method},
		{Name: ":authority", Value: "latchkey"},
		{Name: "te", Value: "trailers"},
		{Name: "content-type", Value: "application/grpc"},
	} {
		_ = encoder.WriteField(field) // a buffer takes everything
	}
	c.buffer.WriteString(http2.ClientPreface)
	err := errors.Join(
		c.out.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: ourWindow}),
		c.out.WriteWindowUpdate(0, ourWindow),
		c.out.WriteHeaders(http2.HeadersFrameParam{StreamID: streamID, BlockFragment: block.Bytes(), EndHeaders: true}),
		c.flush(),
	)
	return c, err
}

// flush writes what is in the buffer. The mutex must be held, if others may send.
func (c *call) flush() error {
	_, err := c.buffer.WriteTo(c.conn)
	return err
}

// send sends a message.
func (c *call) send(message []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	body := append(make([]byte, grpcPrefix, grpcPrefix+len(message)), message...)
	binary.BigEndian.PutUint32(body[1:], uint32(len(message)))
	for i := range c.windows {
		if c.windows[i] -= len(body); c.windows[i] < 0 {
			return errors.New("the hub reads nothing of what its followers say")
		}
	}
	return errors.Join(c.out.WriteData(streamID, false, body), c.flush())
}

// receive returns the next message, which holds until the next call.
func (c *call) receive() ([]byte, error) {
	c.message = c.message[:0]
	for {
		frame, err := c.in.ReadFrame()
		if err != nil {
			return nil, err
		}
		data, ok := frame.(*http2.DataFrame)
		if !ok {
			if err := c.answer(frame); err != nil {
				return nil, err
			}
			continue
		}
		c.message = append(c.message, data.Data()...)
		if err := c.replenish(data.Length); err != nil {
			return nil, err
		}
		if len(c.message) < grpcPrefix {
			continue
		}
		size := int(binary.BigEndian.Uint32(c.message[1:])) + grpcPrefix
		switch {
		case c.message[0] != 0 || size > longestMessage || len(c.message) > size:
			return nil, fmt.Errorf("the hub sends no message of gRPC, or more than one at once: %.20x", c.message)
		case len(c.message) == size:
			return c.message[grpcPrefix:], nil
		}
	}
}

// replenish lets the hub send more.
func (c *call) replenish(n uint32) error {
	if c.took += n; c.took < ourWindow/2 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	took := c.took
	c.took = 0
	return errors.Join(c.out.WriteWindowUpdate(0, took), c.out.WriteWindowUpdate(streamID, took), c.flush())
}

// answer does what a frame asks for that has no part of a message.
func (c *call) answer(frame http2.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if f.IsAck() {
			return nil
		}
		if size, ok := f.Value(http2.SettingInitialWindowSize); ok {
			c.windows[1] += int(size) - theirWindow
		}
		return errors.Join(c.out.WriteSettingsAck(), c.flush())
	case *http2.PingFrame:
		if f.IsAck() {
			return nil
		}
		return errors.Join(c.out.WritePing(true, f.Data), c.flush())
	case *http2.WindowUpdateFrame:
		c.windows[min(f.StreamID, 1)] += int(f.Increment)
	case *http2.MetaHeadersFrame:
		if !f.StreamEnded() {
			return nil
		}
		var code, text string
		for _, field := range f.Fields {
			switch field.Name {
			case "grpc-status":
				code = field.Value
			case "grpc-message":
				text = field.Value
			}
		}
		return fmt.Errorf("the hub ends the call with status %s: %s", code, text)
	case *http2.RSTStreamFrame, *http2.GoAwayFrame:
		return fmt.Errorf("the hub ends the call: %v", frame)
	}
	return nil
}
