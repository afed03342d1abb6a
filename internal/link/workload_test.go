package link

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	workloadpb "github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/latchkey/latchkey/internal/link/linktest"
	configv1 "github.com/latchkey/latchkey/proto/latchkey/config/v1"
)

// agent is a Workload API that says what it is told to.
type agent struct {
	workloadpb.UnimplementedSpiffeWorkloadAPIServer
	mu      sync.Mutex
	says    *workloadpb.X509SVIDResponse // nil: that there is no identity
	changed chan struct{}
	ends    chan error // ends a watch
}

func (a *agent) say(t *testing.T, p *linktest.Pair, ca *linktest.CA, federated map[string]*linktest.CA) {
	t.Helper()
	id, ok := IdentityOf(p.Certificate)
	if !ok {
		t.Fatal("an agent gives SPIFFE ids")
	}
	says := &workloadpb.X509SVIDResponse{
		Svids: []*workloadpb.X509SVID{{
			SpiffeId: id.String(), X509Svid: p.Certificate.Raw, X509SvidKey: p.KeyDER(t), Bundle: ca.Certificate.Raw,
		}},
		FederatedBundles: map[string][]byte{},
	}
	for domain, ca := range federated {
		says.FederatedBundles[domain] = ca.Certificate.Raw
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.says = says
	close(a.changed)
	a.changed = make(chan struct{})
}

func (a *agent) FetchX509SVID(_ *workloadpb.X509SVIDRequest, stream workloadpb.SpiffeWorkloadAPI_FetchX509SVIDServer) error {
	if header, _ := metadata.FromIncomingContext(stream.Context()); len(header.Get("workload.spiffe.io")) == 0 {
		return status.Error(codes.InvalidArgument, "no security header")
	}
	for {
		a.mu.Lock()
		says, changed := a.says, a.changed
		a.mu.Unlock()
		if says == nil {
			return status.Error(codes.PermissionDenied, "no identity issued")
		}
		if err := stream.Send(says); err != nil {
			return err
		}
		select {
		case <-changed:
		case err := <-a.ends:
			return err
		case <-stream.Context().Done():
			return nil
		}
	}
}

func newAgent() *agent { return &agent{changed: make(chan struct{}), ends: make(chan error)} }

// serve listens at a socket until the function that it returns is called.
func (a *agent) serve(t *testing.T, path string) func() {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	workloadpb.RegisterSpiffeWorkloadAPIServer(s, a)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	stop := func() { s.Stop(); <-done }
	t.Cleanup(stop)
	return stop
}

func TestWorkloadAPI(t *testing.T) {
	first, second, foreign := linktest.NewCA(t, "first"), linktest.NewCA(t, "second"), linktest.NewCA(t, "foreign")
	path := filepath.Join(t.TempDir(), "a%gent .sock") // a path is no URL
	a := newAgent()
	one := first.Issue(t, linktest.Leaf{URIs: []string{"spiffe://td/hub"}})
	a.say(t, one, first, map[string]*linktest.CA{"spiffe://foreign": foreign})
	stop := a.serve(t, path)
	hub, log := open(t, &configv1.TLS{WorkloadApi: "unix:" + path})
	run(t, hub)
	address := serveTLS(t, hub.ServerTLS(list(t, "spiffe://td/*", "spiffe://foreign/*", "ops.example")))

	for name, c := range map[string]struct {
		by  *linktest.CA
		who linktest.Leaf
		in  bool
	}{
		"of the trust domain":      {first, sidecarLeaf, true},
		"of one that is foreign":   {foreign, linktest.Leaf{URIs: []string{"spiffe://foreign/a"}}, true},
		"of another CA":            {second, sidecarLeaf, false},
		"the foreign CA's of ours": {foreign, sidecarLeaf, false},
		"our CA's of the foreign":  {first, linktest.Leaf{URIs: []string{"spiffe://foreign/a"}}, false},
		"a DNS name":               {first, linktest.Leaf{DNSNames: []string{"ops.example"}}, false},
		"of an unknown domain":     {first, linktest.Leaf{URIs: []string{"spiffe://other/a"}}, false},
	} {
		if who, err := connect(t, address, pairConfig(c.by.Issue(t, c.who))); (err == nil) != c.in {
			t.Errorf("%s: %q, %v; want it let in: %t", name, who, err, c.in)
		}
	}

	held, err := dial(t, address, pairConfig(first.Issue(t, sidecarLeaf)))
	if err != nil {
		t.Fatal(err)
	}
	// The agent gives another certificate, of another CA.
	two := second.Issue(t, linktest.Leaf{URIs: []string{"spiffe://td/hub"}})
	uses := func(p *linktest.Pair) func() bool {
		return func() bool { return hub.now.Load().leaf().SerialNumber.Cmp(p.Certificate.SerialNumber) == 0 }
	}
	a.say(t, two, second, nil)
	eventually(t, "the second certificate is used", uses(two))
	if who, err := held.whoAmI(); err != nil || who != "spiffe://td/sidecar/a" {
		t.Errorf("the connection that was open is of %q, %v", who, err)
	}
	if who, err := connect(t, address, pairConfig(first.Issue(t, sidecarLeaf))); err == nil {
		t.Errorf("%q of the CA that was taken back is let in", who)
	}
	if who, err := connect(t, address, pairConfig(second.Issue(t, sidecarLeaf))); err != nil {
		t.Errorf("%q of the new CA: %v", who, err)
	}

	// It gives one that is expired, and the last good one stays.
	a.say(t, second.Issue(t, linktest.Leaf{URIs: []string{"spiffe://td/hub"}, From: time.Now().Add(-2 * time.Hour), Until: time.Now().Add(-time.Hour)}), second, nil)
	eventually(t, "an expired certificate is told of", func() bool { return log.count("expired at") == 1 })
	if !uses(two)() {
		t.Error("an expired certificate is in use")
	}
	// It ends the watch in a way after which the library would not begin another.
	a.say(t, two, second, nil)
	a.ends <- status.Error(codes.Canceled, "stopping")
	three := second.Issue(t, linktest.Leaf{URIs: []string{"spiffe://td/hub"}})
	a.say(t, three, second, nil)
	eventually(t, "the third certificate is used", uses(three))

	// It is gone for a while.
	stop()
	eventually(t, "an agent that is gone is told of", func() bool { return log.count("unix:"+path) > 0 })
	four := second.Issue(t, linktest.Leaf{URIs: []string{"spiffe://td/hub"}})
	a.say(t, four, second, nil)
	a.serve(t, path)
	eventually(t, "the fourth certificate is used", uses(four))
}

func TestWorkloadAPIAtTheStart(t *testing.T) {
	ca := linktest.NewCA(t, "ca")
	path := filepath.Join(t.TempDir(), "agent.sock")
	config := &configv1.TLS{WorkloadApi: "unix:" + path}
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := Open(short, config, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "unix:"+path) {
		t.Errorf("%v, want an error that names the socket", err)
	}

	// An agent that doesn't know this process yet is asked again.
	a := newAgent()
	a.serve(t, path)
	log := &logged{}
	opened := make(chan error, 1)
	go func() {
		s, err := Open(t.Context(), config, slog.New(slog.NewTextHandler(log, nil)))
		if err == nil && s.Names() != nil {
			t.Errorf("it has the names %v", s.Names())
		}
		opened <- err
	}()
	eventually(t, "it waits for an identity", func() bool { return log.count("no identity issued") > 0 })
	a.say(t, ca.Issue(t, sidecarLeaf), ca, nil)
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
}
