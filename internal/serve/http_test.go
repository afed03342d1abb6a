package serve

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// Who doesn't come to the end of a handshake takes no more than the connections
// that there are, and gives them back.
func TestHTTPOverTLSIsBounded(t *testing.T) {
	with := httptest.NewUnstartedServer(nil) // has a certificate
	with.StartTLS()
	t.Cleanup(with.Close)
	s := NewHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }), discard())
	s.TLSConfig = &tls.Config{Certificates: with.TLS.Certificates, NextProtos: []string{"h2", "http/1.1"}}
	address, err := ParseAddress("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := address.Listen(0o600)
	if err != nil {
		t.Fatal(err)
	}
	start(t, func(ctx context.Context) error { return RunHTTP(ctx, s, l) })

	get := func(h2 bool, patience time.Duration) (string, error) {
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: h2}
		defer transport.CloseIdleConnections()
		answer, err := (&http.Client{Transport: transport, Timeout: patience}).Get("https://" + l.Address().String())
		if err != nil {
			return "", err
		}
		defer func() { _ = answer.Body.Close() }()
		text, err := io.ReadAll(answer.Body)
		return string(text), err
	}
	for h2, want := range map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"} {
		if got, err := get(h2, time.Minute); err != nil || got != want {
			t.Errorf("answered over %q, %v; want %s", got, err, want)
		}
	}
	if answer, err := http.Get("http://" + l.Address().String()); err == nil {
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusBadRequest {
			t.Errorf("a request in cleartext is answered %d", answer.StatusCode)
		}
	}

	var idle []net.Conn
	for range maxConnections {
		c, err := net.Dial("tcp", l.Address().String())
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, c)
	}
	if got, err := get(false, 300*time.Millisecond); err == nil {
		t.Errorf("one more than %d connections is answered %q", maxConnections, got)
	}
	_ = idle[0].Close()
	if got, err := get(false, time.Minute); err != nil {
		t.Errorf("with one less: %q, %v", got, err)
	}
	for _, c := range idle[1:] {
		_ = c.Close()
	}
}
