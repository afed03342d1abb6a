package envoytest

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
)

// H1 writes raw to a new connection, as it is, and reads one response. A connection
// that the server closes is no error but an Ending; an error means that the connection
// could not be made, that time ran out (a minute unless ctx says), or that what came is not
// HTTP. HEAD and CONNECT are known by raw's first word.
func H1(ctx context.Context, addr string, raw []byte) (Response, error) {
	responses, err := H1Each(ctx, addr, raw, 1)
	return responses[0], err
}

// H1Each is H1 for several requests in one write: it reads up to n responses and
// returns n of them, those that did not come being Closed. The first word of raw stands
// for the method of all.
func H1Each(ctx context.Context, addr string, raw []byte, n int) ([]Response, error) {
	responses := make([]Response, n)
	for i := range responses {
		responses[i].Ending = Closed
	}
	conn, done, err := dial(ctx, addr)
	if err != nil {
		return responses, err
	}
	wrote := make(chan struct{})
	defer func() { done(); <-wrote }()
	go func() {
		defer close(wrote)
		// The server may answer and close before it has read everything, so a failed write
		// still has a response worth reading; and it may not read on before its answers are.
		_, _ = conn.Write(raw)
	}()
	in := bufio.NewReader(conn)
	for i := range responses {
		resp, err := readResponse(in, methodOf(raw))
		responses[i] = resp
		if err != nil {
			responses[i].Ending = Closed
			return responses, unlessEnded(ctx, err)
		}
	}
	return responses, nil
}

func methodOf(raw []byte) string {
	method, _, _ := bytes.Cut(raw, []byte(" "))
	return string(method)
}

// readResponse reads one final response, and the interim ones before it. The response
// that comes with an error holds what was read of it.
func readResponse(in *bufio.Reader, method string) (Response, error) {
	var resp Response
	for {
		r, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			return resp, err
		}
		if r.StatusCode/100 == 1 && r.StatusCode != http.StatusSwitchingProtocols {
			resp.Interim = append(resp.Interim, r.StatusCode)
			continue
		}
		resp.Status, resp.Header = r.StatusCode, r.Header
		if r.StatusCode == http.StatusSwitchingProtocols {
			return resp, nil // what follows is no body
		}
		resp.Body, err = io.ReadAll(r.Body)
		resp.Trailer = r.Trailer
		return resp, err
	}
}

// Request renders an HTTP/1.1 request, with fields in the order given, for H1. A Host
// header and, where there is a body, a Content-Length are the caller's to give or leave
// out: nothing is added and nothing checked.
func Request(method, path string, fields []Field, body []byte) []byte {
	var b bytes.Buffer
	b.WriteString(method + " " + path + " HTTP/1.1\r\n")
	for _, f := range fields {
		b.WriteString(f.Name + ": " + f.Value + "\r\n")
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}
