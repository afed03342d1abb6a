package link

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/latchkey/latchkey/internal/link/linktest"
)

// watched is a stream that goes on between a server and a client, each of which has a list.
type watched struct {
	t              *testing.T
	server, client *AllowList
	health         grpc_health_v1.HealthClient
	ended          chan error // the stream's end
}

// watchHealth begins a stream of a client that is spiffe://td/sidecar/a and a.example at a server that is spiffe://td/hub
// and localhost.
func watchHealth(t *testing.T, clients, servers []string, leaf linktest.Leaf) *watched {
	t.Helper()
	ca := linktest.NewCA(t, "ca")
	source := func(l linktest.Leaf) *Source {
		s, _ := open(t, linktest.Write(t, t.TempDir(), ca.Issue(t, l), ca))
		return s
	}
	w := &watched{t: t, server: list(t, clients...), client: list(t, servers...), ended: make(chan error, 1)}
	s := grpc.NewServer(grpc.Creds(source(hubLeaf).ServerCredentials(w.server)))
	grpc_health_v1.RegisterHealthServer(s, health.NewServer())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(source(leaf).ClientCredentials("localhost", w.client)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	w.health = grpc_health_v1.NewHealthClient(conn)
	stream, err := w.health.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	go func() { _, err := stream.Recv(); w.ended <- err }()
	return w
}

// ask makes a call, on the connection that is there or on another.
func (w *watched) ask() error {
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	_, err := w.health.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	return err
}

// stays reports an error if the stream has ended: a call on the same connection has gone through since.
func (w *watched) stays() {
	w.t.Helper()
	if err := w.ask(); err != nil {
		w.t.Fatal(err)
	}
	select {
	case err := <-w.ended:
		w.t.Fatalf("the stream has ended: %v", err)
	default:
	}
}

// ends waits for the end of the stream, and reports whether another call gets through.
func (w *watched) ends() error {
	w.t.Helper()
	select {
	case <-w.ended:
	case <-time.After(patience):
		w.t.Fatal("the stream goes on")
	}
	return w.ask()
}

func TestTakenOutOfAListIsCutOff(t *testing.T) {
	named := linktest.Leaf{DNSNames: []string{"a.example", "b.example"}}
	for name, tc := range map[string]struct {
		leaf             linktest.Leaf
		clients, servers []string
		same, now        []string // lists that change nothing for the peer, and then one that does
		ofServer         bool     // they are the client's
		says             string   // empty: it comes again
	}{
		"a client":              {sidecarLeaf, []string{"spiffe://td/sidecar/a", "x.example"}, nil, []string{"spiffe://td/sidecar/*"}, []string{"spiffe://td/sidecar/b"}, false, ""},
		"the last":              {sidecarLeaf, []string{"spiffe://td/*"}, nil, []string{"spiffe://td/sidecar/a"}, nil, false, ""},
		"a client with a name":  {named, []string{"b.example"}, nil, []string{"b.example", "c.example"}, []string{"c.example"}, false, ""},
		"a server":              {sidecarLeaf, []string{"spiffe://td/*"}, []string{"spiffe://td/hub"}, []string{"spiffe://td/*"}, []string{"spiffe://td/other"}, true, ErrNotBelieved.Error()},
		"a server by its name":  {sidecarLeaf, []string{"spiffe://td/*"}, nil, nil, []string{"spiffe://td/other"}, true, ErrNotBelieved.Error()},
		"a server, to its name": {sidecarLeaf, []string{"spiffe://td/*"}, []string{"spiffe://td/hub"}, nil, []string{"localhost"}, true, ErrNotBelieved.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			w := watchHealth(t, tc.clients, tc.servers, tc.leaf)
			changed := w.server
			if tc.ofServer {
				changed = w.client
			}
			if cut := changed.Set(ids(t, tc.same...)); cut != 0 {
				t.Errorf("%d connections were cut by a list that has them all", cut)
			}
			w.stays()
			if cut := changed.Set(ids(t, tc.now...)); cut != 1 {
				t.Errorf("%d connections were cut, want 1", cut)
			}
			if err := w.ends(); err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("it comes again: %v", err)
			}
			changed.mu.Lock()
			defer changed.mu.Unlock()
			if len(changed.open) != 0 {
				t.Errorf("%d connections are still remembered", len(changed.open))
			}
		})
	}
}

// Whoever is known by another name is cut off, and comes again under that: what was noted of him was of the old one.
func TestAnotherNameOfAPeer(t *testing.T) {
	w := watchHealth(t, []string{"b.example"}, nil, linktest.Leaf{DNSNames: []string{"a.example", "b.example"}})
	w.server.Set(ids(t, "a.example"))
	if err := w.ends(); err != nil {
		t.Errorf("it doesn't come again: %v", err)
	}
}

// Whoever is taken out while his handshake is under way isn't let in by the list of before.
func TestListThatChangesDuringAHandshake(t *testing.T) {
	l := list(t, "spiffe://td/a")
	in := func(ids Identities) bool { _, ok := ids.Find(Identity{spiffe: "spiffe://td/a"}); return ok }
	if c := (&guarded{list: l}); !l.guard(c, in) || len(l.open) != 1 {
		t.Error("who is in the list isn't watched over")
	}
	clear(l.open)
	l.Set(ids(t, "spiffe://td/b"))
	if c := (&guarded{list: l}); l.guard(c, in) || len(l.open) != 0 {
		t.Error("who is in the list no more is let in")
	}
}
