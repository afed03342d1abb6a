package envoytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// h2Window is the initial flow-control window of RFC 9113; a body within it can be
	// sent without waiting for the peer.
	h2Window = 65535
	h2Frame  = 16384
)

// H2 sends one request on a new cleartext HTTP/2 connection and reads the response.
// Fields go out in the order given, pseudo-headers among them, with any bytes: nothing
// is added or checked, so give :method, :scheme, :authority and :path, or leave them
// out on purpose. The body is at most 65535 bytes; nil ends the stream with the headers.
//
// A stream or connection that the server ends is no error but an Ending; an error means
// that the connection could not be made, time ran out (a minute unless ctx says), or the
// server broke the protocol. An extended CONNECT that succeeds is answered by its
// response header: what would follow is the tunnel, which is closed.
func H2(ctx context.Context, addr string, fields []Field, body []byte) (Response, error) {
	if len(body) > h2Window {
		return Response{}, fmt.Errorf("envoytest: the body is %d bytes and H2 sends %d at most: use H1", len(body), h2Window)
	}
	conn, done, err := dial(ctx, addr)
	if err != nil {
		return Response{}, err
	}
	defer done()

	request, err := h2Request(fields, body)
	if err != nil {
		return Response{}, fmt.Errorf("envoytest: %w", err)
	}
	// As with H1, the server may answer and close before it has read everything.
	_, _ = conn.Write(request)
	resp, err := h2Response(conn, tunnels(fields))
	if err == nil || resp.Ending == Reset || resp.Ending == GoAway {
		return resp, nil
	}
	resp.Ending = Closed
	return resp, unlessEnded(ctx, err)
}

// h2Request renders the connection preface and one request on stream 1.
func h2Request(fields []Field, body []byte) ([]byte, error) {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range fields {
		if err := enc.WriteField(hpack.HeaderField{Name: f.Name, Value: f.Value}); err != nil {
			return nil, err
		}
	}
	var out bytes.Buffer
	out.WriteString(http2.ClientPreface)
	fr := http2.NewFramer(&out, nil)
	if err := errors.Join(
		// Windows so large that the response needs no updates.
		fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30}),
		fr.WriteWindowUpdate(0, 1<<30),
	); err != nil {
		return nil, err
	}
	chunk := block.Next(h2Frame)
	err := fr.WriteHeaders(http2.HeadersFrameParam{
		StreamID: 1, BlockFragment: chunk, EndStream: body == nil, EndHeaders: block.Len() == 0,
	})
	for err == nil && block.Len() > 0 {
		chunk = block.Next(h2Frame)
		err = fr.WriteContinuation(1, block.Len() == 0, chunk)
	}
	for rest := body; err == nil && rest != nil; {
		n := min(len(rest), h2Frame)
		last := n == len(rest)
		err = fr.WriteData(1, last, rest[:n])
		if rest = rest[n:]; last {
			break
		}
	}
	return out.Bytes(), err
}

// tunnels reports whether the request opens a tunnel (RFC 8441), which a success leaves
// open.
func tunnels(fields []Field) bool {
	return slices.ContainsFunc(fields, func(f Field) bool { return f.Name == ":protocol" })
}

// h2Response reads frames until stream 1 or the connection ends, or a tunnel is open.
// With an error comes what was read before it.
func h2Response(conn net.Conn, tunnel bool) (Response, error) {
	fr := http2.NewFramer(conn, conn)
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	var resp Response
	goAway := false
	for {
		frame, err := fr.ReadFrame()
		if err != nil {
			if goAway {
				resp.Ending = GoAway
			}
			return resp, err
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = fr.WriteSettingsAck() // a peer that is gone shows in the next read
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				_ = fr.WritePing(true, f.Data)
			}
		case *http2.GoAwayFrame:
			if f.ErrCode != http2.ErrCodeNo {
				goAway, resp.Code = true, uint32(f.ErrCode)
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == 1 {
				resp.Ending, resp.Code = Reset, uint32(f.ErrCode)
				return resp, nil
			}
		case *http2.MetaHeadersFrame:
			resp.takeHeaders(f)
			if f.StreamEnded() || tunnel && resp.Status/100 == 2 {
				return resp, nil
			}
		case *http2.DataFrame:
			resp.Body = append(resp.Body, f.Data()...)
			if f.StreamEnded() {
				return resp, nil
			}
		}
	}
}

// takeHeaders sorts a header block into interim status, response header or trailer.
func (r *Response) takeHeaders(f *http2.MetaHeadersFrame) {
	header := http.Header{}
	for _, hf := range f.RegularFields() {
		header.Add(hf.Name, hf.Value)
	}
	status, err := strconv.Atoi(f.PseudoValue("status"))
	switch {
	case err != nil:
		r.Trailer = header
	case status/100 == 1:
		r.Interim = append(r.Interim, status)
	default:
		r.Status, r.Header = status, header
	}
}

// RequestFields returns the pseudo-headers of an ordinary request followed by fields,
// whose names are put in lower case, for H2.
func RequestFields(method, host, path string, fields ...Field) []Field {
	out := []Field{{":method", method}, {":scheme", "http"}, {":authority", host}, {":path", path}}
	for _, f := range fields {
		out = append(out, Field{strings.ToLower(f.Name), f.Value})
	}
	return out
}
