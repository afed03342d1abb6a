package envoytest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http/httputil"
	"strconv"
	"strings"
)

// maxHead bounds the request line and headers that the upstream reads.
const maxHead = 1 << 20

// readRequest reads one HTTP/1 request. It is no more lenient than a record of the
// exact bytes needs, and repairs nothing: net/http would clean paths and join headers.
// io.EOF means that the connection ended between two requests.
func readRequest(in *bufio.Reader) (Record, error) {
	left := maxHead
	line, err := readLine(in, &left)
	if err != nil {
		return Record{}, err
	}
	rec := Record{Line: line}
	method, rest, ok1 := strings.Cut(line, " ")
	path, protocol, ok2 := cutLast(rest, " ")
	if !ok1 || !ok2 {
		return rec, fmt.Errorf("request line %q", line)
	}
	rec.Method, rec.Path, rec.Protocol = method, path, protocol

	for {
		line, err := readLine(in, &left)
		if err != nil {
			return rec, noEOF(err)
		}
		if line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return rec, fmt.Errorf("header line %q", line)
		}
		rec.Header = append(rec.Header, Field{name, strings.Trim(value, " \t")})
	}
	rec.Host, _ = rec.Get("host")
	if upgrade, _ := rec.Get("upgrade"); strings.EqualFold(upgrade, "websocket") {
		return rec, nil // what follows belongs to the protocol that is switched to
	}
	return rec, noEOF(readBody(in, &rec))
}

func readBody(in *bufio.Reader, rec *Record) error {
	if coding, ok := rec.Get("transfer-encoding"); ok && strings.EqualFold(coding, "chunked") {
		if err := keepAll(rec, httputil.NewChunkedReader(in)); err != nil {
			return err
		}
		left := maxHead
		for { // trailers, up to the empty line
			if line, err := readLine(in, &left); err != nil || line == "" {
				return err
			}
		}
	}
	length, ok := rec.Get("content-length")
	if !ok {
		return nil
	}
	n, err := strconv.ParseInt(length, 10, 64)
	if err != nil || n < 0 {
		return fmt.Errorf("content-length %q", length)
	}
	before := rec.BodyBytes
	if err := keepAll(rec, io.LimitReader(in, n)); err != nil {
		return err
	}
	if rec.BodyBytes-before != n {
		return io.ErrUnexpectedEOF
	}
	return nil
}

func keepAll(rec *Record, r io.Reader) error {
	buf := make([]byte, 8<<10)
	for {
		n, err := r.Read(buf)
		rec.keepBody(buf[:n])
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// readLine reads up to CRLF or LF, and counts it against the bytes left.
func readLine(in *bufio.Reader, left *int) (string, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if *left -= len(part); *left < 0 {
			return "", fmt.Errorf("the head of the request is over %d bytes", maxHead)
		}
		if err == nil {
			break
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if len(line) > 0 {
			err = noEOF(err)
		}
		return "", err
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), nil
}

// cutLast cuts at the last separator: a path may hold spaces where a proxy let them by.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// noEOF makes an end inside a request an error of its own.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
