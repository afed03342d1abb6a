package envoytest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/latchkey/latchkey/internal/envoytest"
)

// scripted answers one connection with a function and closes it.
func scripted(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		serve(conn)
	}()
	return ln.Addr().String()
}

func TestH1Endings(t *testing.T) {
	request := "GET / HTTP/1.1\r\n\r\n"
	for _, c := range []struct {
		name, answer string
		want         envoytest.Response
		fails        bool
	}{
		{name: "whole", answer: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", want: envoytest.Response{Status: 200, Body: []byte("ok")}},
		{name: "until the end", answer: "HTTP/1.1 200 OK\r\n\r\nok", want: envoytest.Response{Status: 200, Body: []byte("ok")}},
		{name: "interim", answer: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", want: envoytest.Response{Status: 204, Interim: []int{100}}},
		{name: "nothing", want: envoytest.Response{Ending: envoytest.Closed}},
		{name: "half a head", answer: "HTTP/1.1 200 OK\r\nx: y\r\n", want: envoytest.Response{Ending: envoytest.Closed}},
		{name: "half a body", answer: "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok", want: envoytest.Response{Ending: envoytest.Closed, Status: 200, Body: []byte("ok")}},
		{name: "not HTTP", answer: "hello\r\n\r\n", want: envoytest.Response{Ending: envoytest.Closed}, fails: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := scripted(t, func(conn net.Conn) {
				_, _ = io.ReadFull(conn, make([]byte, len(request)))
				_, _ = io.WriteString(conn, c.answer)
			})
			got, err := envoytest.H1(t.Context(), addr, []byte(request))
			if got.Ending != c.want.Ending || got.Status != c.want.Status || string(got.Body) != string(c.want.Body) ||
				!slices.Equal(got.Interim, c.want.Interim) || (err != nil) != c.fails {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

// No client outlives its context, and each says so: silence is not a closed connection.
func TestSilentServer(t *testing.T) {
	for name, call := range map[string]func(context.Context, string) error{
		"H1": func(ctx context.Context, addr string) error {
			_, err := envoytest.H1(ctx, addr, []byte("GET / HTTP/1.1\r\n\r\n"))
			return err
		},
		"H2": func(ctx context.Context, addr string) error {
			_, err := envoytest.H2(ctx, addr, envoytest.RequestFields("GET", "h", "/"), nil)
			return err
		},
		"GRPC": func(ctx context.Context, addr string) error {
			_, err := envoytest.GRPC(ctx, addr, "h", "/s/m", nil, nil)
			return err
		},
		"WebSocket": func(ctx context.Context, addr string) error {
			_, err := envoytest.WebSocket(ctx, addr, "h", "/", nil, "x")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			silent := func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if err := call(ctx, scripted(t, silent)); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("deadline: %v", err)
			}
			ctx, cancel = context.WithCancel(t.Context())
			addr := scripted(t, func(conn net.Conn) { cancel(); silent(conn) })
			if err := call(ctx, addr); !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled: %v", err)
			}
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ln.Close()
			if err := call(t.Context(), ln.Addr().String()); err == nil {
				t.Error("nobody listens, and there is no error")
			}
		})
	}
}

// The frames of a response, and the request as it was on the wire.
func TestH2Frames(t *testing.T) {
	fields := []envoytest.Field{
		{Name: "Upper", Value: " \x00\r\n\xff "},
		{Name: ":path", Value: "nowhere"},
		{Name: ":path", Value: "/"},
		{Name: "long", Value: strings.Repeat("\xfe", 20_000)},
	}
	body := []byte(strings.Repeat("b", 40_000))
	header := func(pairs ...string) []byte {
		var block strings.Builder
		enc := hpack.NewEncoder(&block)
		for i := 0; i < len(pairs); i += 2 {
			_ = enc.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
		}
		return []byte(block.String())
	}
	head := func(fr *http2.Framer, end bool, pairs ...string) {
		_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: header(pairs...), EndHeaders: true, EndStream: end})
	}
	for _, c := range []struct {
		name   string
		answer func(*http2.Framer)
		want   envoytest.Response
	}{
		{"body and trailer", func(fr *http2.Framer) {
			head(fr, false, ":status", "103")
			head(fr, false, ":status", "200", "x-a", "1")
			_ = fr.WritePing(false, [8]byte{1})
			_ = fr.WriteData(1, false, []byte("ok"))
			head(fr, true, "grpc-status", "0")
		}, envoytest.Response{Status: 200, Body: []byte("ok"), Interim: []int{103}}},
		{"reset", func(fr *http2.Framer) {
			head(fr, false, ":status", "200")
			_ = fr.WriteRSTStream(1, http2.ErrCodeProtocol)
		}, envoytest.Response{Ending: envoytest.Reset, Code: 1, Status: 200}},
		{"goaway", func(fr *http2.Framer) { _ = fr.WriteGoAway(0, http2.ErrCodeCompression, nil) }, envoytest.Response{Ending: envoytest.GoAway, Code: 9}},
		{"a kind goaway", func(fr *http2.Framer) {
			_ = fr.WriteGoAway(1, http2.ErrCodeNo, nil)
			head(fr, true, ":status", "204")
		}, envoytest.Response{Status: 204}},
		{"closed", func(*http2.Framer) {}, envoytest.Response{Ending: envoytest.Closed}},
	} {
		t.Run(c.name, func(t *testing.T) {
			sent := make(chan []envoytest.Field, 1)
			size := make(chan int, 1)
			addr := scripted(t, func(conn net.Conn) {
				_, _ = io.ReadFull(conn, make([]byte, len(http2.ClientPreface)))
				got, n := readH2Request(http2.NewFramer(io.Discard, conn))
				sent <- got
				size <- n
				fr := http2.NewFramer(conn, nil)
				_ = fr.WriteSettings()
				c.answer(fr)
				_ = conn.(*net.TCPConn).CloseWrite()
				_, _ = io.Copy(io.Discard, conn) // acknowledgements; unread, they would reset
			})
			got, err := envoytest.H2(t.Context(), addr, fields, body)
			if err != nil || got.Ending != c.want.Ending || got.Code != c.want.Code || got.Status != c.want.Status ||
				string(got.Body) != string(c.want.Body) || !slices.Equal(got.Interim, c.want.Interim) {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
			if len(c.want.Body) > 0 && (got.Header.Get("X-A") != "1" || got.Trailer.Get("Grpc-Status") != "0") {
				t.Errorf("header %v, trailer %v", got.Header, got.Trailer)
			}
			if s, n := <-sent, <-size; !slices.Equal(s, fields) || n != len(body) {
				t.Errorf("on the wire: %d fields %.100q, %d bytes of body", len(s), s, n)
			}
		})
	}
	if _, err := envoytest.H2(t.Context(), "127.0.0.1:1", fields, make([]byte, 65536)); err == nil || !strings.Contains(err.Error(), "65535") {
		t.Errorf("a body over the window: %v", err)
	}
}

// readH2Request reads frames to the end of stream 1: its fields and its body's length.
func readH2Request(fr *http2.Framer) (fields []envoytest.Field, body int) {
	dec := hpack.NewDecoder(4096, func(f hpack.HeaderField) { fields = append(fields, envoytest.Field{Name: f.Name, Value: f.Value}) })
	for {
		frame, err := fr.ReadFrame()
		if err != nil {
			return fields, body
		}
		switch f := frame.(type) {
		case *http2.HeadersFrame:
			_, _ = dec.Write(f.HeaderBlockFragment())
		case *http2.ContinuationFrame:
			_, _ = dec.Write(f.HeaderBlockFragment())
		case *http2.DataFrame:
			if body += len(f.Data()); f.StreamEnded() {
				return fields, body
			}
		}
	}
}
