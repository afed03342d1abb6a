package load

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	frameHeader  = 9 // of every frame: length, type, flags, stream
	grpcPrefix   = 5 // of every message: compressed or not, length
	maxOpenCalls = 4096

	// What we let the server send us is more than it ever does.
	ourWindow    = 1 << 30
	replenishAt  = ourWindow / 2
	theirWindow  = 65535 // what we may send before the server says more
	hpackTable   = 4096
	ourSettings  = uint32(1 << 24) // of a single stream
	checkTimeout = "5S"
)

// callHeaders are the headers that Envoy sends with a Check.
var callHeaders = []hpack.HeaderField{
	{Name: ":method", Value: "POST"},
	{Name: ":scheme", Value: "http"},
	{Name: ":path", Value: "/envoy.service.auth.v3.Authorization/Check"},
	{Name: ":authority", Value: "latchkey"},
	{Name: "te", Value: "trailers"},
	{Name: "grpc-timeout", Value: checkTimeout},
	{Name: "content-type", Value: "application/grpc"},
	{Name: "x-envoy-internal", Value: "true"},
	{Name: "x-forwarded-for", Value: "127.0.0.1"},
	{Name: "x-envoy-expected-rq-timeout-ms", Value: "5000"},
}

// http2Calls is HTTP/2 as far as unary calls need it.
type http2Calls struct {
	first   []byte   // the header frame of the first call, which fills the server's table
	later   []byte   // of all others: nothing but indexes into that table
	data    [][]byte // the data frame of each request
	largest int      // of these, without its frame header

	streams    []stream // by number, in a ring
	next       uint32   // stream
	inFlight   int
	maxStreams int // of the server's settings; 0 until they are there
	window     int // bytes of data that the server takes yet
	consumed   int // bytes of data since the last word about our own window

	headers *hpack.Decoder
	seen    answer // of the header block that is being decoded
	taken   int    // answers
}

// stream is a call under way.
type stream struct {
	number uint32 // 0 when it is free
	of     call
	body   []byte
}

// answer is what header blocks say about a call.
type answer struct{ httpStatus, grpcStatus string }

func newHTTP2(requests [][]byte) *http2Calls {
	g := &http2Calls{next: 1, window: theirWindow, streams: make([]stream, maxOpenCalls)}
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, frame := range []*[]byte{&g.first, &g.later} {
		block.Reset()
		for _, field := range callHeaders {
			_ = encoder.WriteField(field) // a buffer takes everything
		}
		*frame = appendFrame(nil, http2.FrameHeaders, http2.FlagHeadersEndHeaders, block.Bytes())
	}
	for _, message := range requests {
		body := append(make([]byte, grpcPrefix, grpcPrefix+len(message)), message...)
		binary.BigEndian.PutUint32(body[1:], uint32(len(message)))
		g.data = append(g.data, appendFrame(nil, http2.FrameData, http2.FlagDataEndStream, body))
		g.largest = max(g.largest, len(body))
	}
	g.headers = hpack.NewDecoder(hpackTable, func(f hpack.HeaderField) {
		switch f.Name {
		case ":status":
			g.seen.httpStatus = f.Value
		case "grpc-status":
			g.seen.grpcStatus = f.Value
		}
	})
	return g
}

// appendFrame appends a frame of the connection; streams put their number in.
func appendFrame(out []byte, kind http2.FrameType, flags http2.Flags, payload []byte) []byte {
	n := len(payload)
	out = append(out, byte(n>>16), byte(n>>8), byte(n), byte(kind), byte(flags), 0, 0, 0, 0)
	return append(out, payload...)
}

func (g *http2Calls) hello(out []byte) []byte {
	var b bytes.Buffer
	b.WriteString(http2.ClientPreface)
	f := http2.NewFramer(&b, nil)
	// A buffer takes everything.
	_ = f.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: ourSettings})
	_ = f.WriteWindowUpdate(0, ourWindow)
	return append(out, b.Bytes()...)
}

func (g *http2Calls) stream(number uint32) *stream {
	return &g.streams[number/2%uint32(len(g.streams))]
}

func (g *http2Calls) room() bool {
	return g.inFlight < g.maxStreams && g.window >= g.largest && g.stream(g.next).number == 0
}

func (g *http2Calls) begin(out []byte, of call) []byte {
	s := g.stream(g.next)
	s.number, s.of, s.body = g.next, of, s.body[:0]
	g.next += 2
	g.inFlight++
	headers := g.later
	if s.number == 1 {
		headers = g.first
	}
	data := g.data[of.request]
	g.window -= len(data) - frameHeader
	for _, frame := range [][]byte{headers, data} {
		at := len(out)
		out = append(out, frame...)
		binary.BigEndian.PutUint32(out[at+5:], s.number)
	}
	return out
}

func (g *http2Calls) open(f func(call)) {
	for i := range g.streams {
		if g.streams[i].number != 0 {
			f(g.streams[i].of)
		}
	}
}

func (g *http2Calls) take(in, out []byte, done func(call, int)) (used int, _ []byte, err error) {
	for len(in)-used >= frameHeader {
		head := in[used:]
		length := int(head[0])<<16 | int(head[1])<<8 | int(head[2])
		if len(head) < frameHeader+length {
			break
		}
		kind, flags, number := http2.FrameType(head[3]), http2.Flags(head[4]), binary.BigEndian.Uint32(head[5:])
		if out, err = g.frame(kind, flags, number, head[frameHeader:frameHeader+length], out, done); err != nil {
			return used, out, err
		}
		used += frameHeader + length
	}
	if g.consumed >= replenishAt {
		out = appendFrame(out, http2.FrameWindowUpdate, 0, binary.BigEndian.AppendUint32(nil, uint32(g.consumed)))
		g.consumed = 0
	}
	return used, out, nil
}

func (g *http2Calls) frame(kind http2.FrameType, flags http2.Flags, number uint32, payload, out []byte, done func(call, int)) ([]byte, error) {
	switch kind {
	case http2.FrameData:
		g.consumed += len(payload)
		s, err := g.known(number)
		if err != nil {
			return out, err
		}
		if flags.Has(http2.FlagDataPadded) || flags.Has(http2.FlagDataEndStream) {
			return out, errors.New("an answer of gRPC is padded or ends without trailers")
		}
		s.body = append(s.body, payload...)
		return out, nil
	case http2.FrameHeaders:
		s, err := g.known(number)
		if err != nil {
			return out, err
		}
		return out, g.block(s, flags, payload, done)
	case http2.FrameSettings:
		if flags.Has(http2.FlagSettingsAck) {
			return out, nil
		}
		if err := g.settings(payload); err != nil {
			return out, err
		}
		return appendFrame(out, http2.FrameSettings, http2.FlagSettingsAck, nil), nil
	case http2.FramePing:
		if flags.Has(http2.FlagPingAck) {
			return out, nil
		}
		return appendFrame(out, http2.FramePing, http2.FlagPingAck, payload), nil
	case http2.FrameWindowUpdate:
		if number == 0 && len(payload) == 4 {
			g.window += int(binary.BigEndian.Uint32(payload) &^ (1 << 31))
		}
		return out, nil
	case http2.FrameRSTStream:
		if _, err := g.known(number); err != nil {
			return out, nil // it was answered before the server had noted the end of the request
		}
		return out, fmt.Errorf("the server resets a call: %x", payload)
	case http2.FrameGoAway, http2.FrameContinuation, http2.FramePushPromise:
		return out, fmt.Errorf("the server sends %v: %.120q", kind, payload)
	}
	return out, nil
}

func (g *http2Calls) known(number uint32) (*stream, error) {
	s := g.stream(number)
	if number == 0 || s.number != number {
		return nil, fmt.Errorf("an answer on stream %d, on which nothing is asked", number)
	}
	return s, nil
}

// settings reads what the server is like. What is left out would slow us down or
// doesn't concern a client.
func (g *http2Calls) settings(payload []byte) error {
	if g.maxStreams == 0 {
		g.maxStreams = maxOpenCalls
	}
	for setting := range slices.Chunk(payload, 6) {
		if len(setting) < 6 {
			return errors.New("settings of a broken length")
		}
		value := binary.BigEndian.Uint32(setting[2:])
		switch id := http2.SettingID(binary.BigEndian.Uint16(setting)); id {
		case http2.SettingMaxConcurrentStreams:
			g.maxStreams = int(min(value, maxOpenCalls))
		case http2.SettingHeaderTableSize:
			if value < hpackTable {
				return fmt.Errorf("the server has a header table of %d bytes, and the calls are encoded for %d", value, hpackTable)
			}
		case http2.SettingInitialWindowSize:
			if int(value) < g.largest {
				return fmt.Errorf("the server takes %d bytes on a stream, and a request has %d", value, g.largest)
			}
		}
	}
	return nil
}

// block reads a block of headers; the one at the end is the trailers.
func (g *http2Calls) block(s *stream, flags http2.Flags, payload []byte, done func(call, int)) error {
	if !flags.Has(http2.FlagHeadersEndHeaders) || flags.Has(http2.FlagHeadersPadded) || flags.Has(http2.FlagHeadersPriority) {
		return errors.New("headers of an answer that are padded or in several frames")
	}
	g.seen = answer{}
	if _, err := g.headers.Write(payload); err != nil {
		return fmt.Errorf("headers of an answer: %w", err)
	}
	if err := g.headers.Close(); err != nil {
		return fmt.Errorf("headers of an answer: %w", err)
	}
	if g.seen.httpStatus != "" && g.seen.httpStatus != "200" {
		return fmt.Errorf("gRPC is answered with HTTP status %s", g.seen.httpStatus)
	}
	if !flags.Has(http2.FlagHeadersEndStream) {
		return nil
	}
	if g.seen.grpcStatus != "0" {
		return fmt.Errorf("a Check ends with gRPC status %q", g.seen.grpcStatus)
	}
	status, err := g.status(s.body)
	if err != nil {
		return err
	}
	s.number = 0
	g.inFlight--
	done(s.of, status)
	return nil
}

func (g *http2Calls) status(body []byte) (int, error) {
	if len(body) < grpcPrefix || body[0] != 0 || int(binary.BigEndian.Uint32(body[1:])) != len(body)-grpcPrefix {
		return 0, errNoResponse
	}
	status, err := checkStatus(body[grpcPrefix:])
	if err != nil {
		return 0, err
	}
	if g.taken++; g.taken%everySoManyWhole == 1 {
		whole, err := checkStatusWhole(body[grpcPrefix:])
		if err != nil {
			return 0, err
		}
		if whole != status {
			return 0, fmt.Errorf("an answer was read as %d and is %d", status, whole)
		}
	}
	return status, nil
}
