package link

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey/latchkey/internal/link/linktest"
	configv1 "github.com/latchkey/latchkey/proto/latchkey/config/v1"
)

// patience is how long something is waited for that has to come about.
const patience = time.Minute

// open opens a source and returns what it logs.
func open(t *testing.T, config *configv1.TLS) (*Source, *logged) {
	t.Helper()
	log := &logged{}
	s, err := Open(t.Context(), config, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return s, log
}

// run runs a source until the test ends.
func run(t *testing.T, s *Source) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// logged is a log that may be read while it is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// count is how many lines hold a text.
func (l *logged) count(text string) (n int) {
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("in %s it never came about: %s", patience, what)
		}
	}
}

// serveTLS answers each line with who wrote it, and returns its address.
func serveTLS(t *testing.T, config *tls.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				context.AfterFunc(ctx, func() { _ = c.Close() })
				defer func() { _ = c.Close() }()
				answer(tls.Server(c, config))
			})
		}
	})
	t.Cleanup(func() { cancel(); _ = l.Close(); all.Wait() })
	return l.Addr().String()
}

func answer(c *tls.Conn) {
	if c.Handshake() != nil {
		return // the client was told
	}
	state := c.ConnectionState()
	who, ok := PeerOf(&state)
	lines := bufio.NewReader(c)
	for {
		if _, err := lines.ReadString('\n'); err != nil {
			return
		}
		if _, err := io.WriteString(c, who.String()+"\n"); err != nil || !ok {
			return
		}
	}
}

// client is a connection to serveTLS.
type client struct {
	*tls.Conn
	lines *bufio.Reader
}

func dial(t *testing.T, address string, config *tls.Config) (*client, error) {
	t.Helper()
	plain, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{Conn: tls.Client(plain, config)}
	c.lines = bufio.NewReader(c.Conn)
	t.Cleanup(func() { _ = c.Close() })
	c.patient()
	return c, c.Handshake()
}

// patient bounds what is done next with the connection, which may be an old one.
func (c *client) patient() { _ = c.SetDeadline(time.Now().Add(patience)) } // one that is closed says so itself

// whoAmI asks the server. A server that refuses a certificate says so after the
// client's handshake is over.
func (c *client) whoAmI() (string, error) {
	c.patient()
	if _, err := io.WriteString(c, "who\n"); err != nil {
		return "", err
	}
	line, err := c.lines.ReadString('\n')
	return strings.TrimSpace(line), err
}

// connect returns who the server takes the client for, and why it doesn't.
func connect(t *testing.T, address string, config *tls.Config) (string, error) {
	t.Helper()
	c, err := dial(t, address, config)
	if err != nil {
		return "", err
	}
	who, err := c.whoAmI()
	return who, errors.Join(err, c.Close())
}

// ids parses a list.
func ids(t *testing.T, texts ...string) Identities {
	t.Helper()
	parsed, err := ParseIdentities("followers", texts)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// list is ids for an end of a link.
func list(t *testing.T, texts ...string) *AllowList {
	t.Helper()
	return NewAllowList(ids(t, texts...))
}

var (
	hubLeaf     = linktest.Leaf{URIs: []string{"spiffe://td/hub"}, DNSNames: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}}
	sidecarLeaf = linktest.Leaf{URIs: []string{"spiffe://td/sidecar/a"}}
)
