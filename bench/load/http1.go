package load

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// http1 is HTTP/1.1 with one request at a time.
type http1 struct {
	requests [][]byte
	busy     bool
	of       call
}

func (h *http1) hello(out []byte) []byte { return out }

func (h *http1) room() bool { return !h.busy }

func (h *http1) begin(out []byte, of call) []byte {
	h.busy, h.of = true, of
	return append(out, h.requests[of.request]...)
}

func (h *http1) open(f func(call)) {
	if h.busy {
		f(h.of)
	}
}

func (h *http1) take(in, out []byte, done func(call, int)) (int, []byte, error) {
	head := bytes.Index(in, []byte("\r\n\r\n"))
	if head < 0 {
		return 0, out, nil
	}
	head += len("\r\n\r\n")
	status, body, err := parseHead(in[:head])
	if err != nil || len(in) < head+body {
		return 0, out, err
	}
	if !h.busy {
		return 0, out, errors.New("an answer to no request")
	}
	h.busy = false
	done(h.of, status)
	return head + body, out, nil
}

// parseHead returns the status of an answer and the length of its body.
func parseHead(head []byte) (status, body int, err error) {
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	if len(line) < len("HTTP/1.1 200") || string(line[:9]) != "HTTP/1.1 " {
		return 0, 0, fmt.Errorf("%.40q is no answer of HTTP/1.1", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, 0, fmt.Errorf("%.40q has no status", line)
	}
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			if body, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, 0, fmt.Errorf("%.40q is no length", line)
			}
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			return 0, 0, fmt.Errorf("an answer %d has a body without a length", status)
		case bytes.EqualFold(name, []byte("connection")) && bytes.EqualFold(bytes.TrimSpace(value), []byte("close")):
			return 0, 0, fmt.Errorf("after an answer %d the server closes the connection", status)
		}
	}
	return status, body, nil
}
