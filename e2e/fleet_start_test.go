package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/latchkey/latchkey/internal/link/linktest"
	"github.com/latchkey/latchkey/internal/netns"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/proto/latchkey/admin/v1/adminv1connect"
	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
)

// newFleet starts a fleet, and waits until all of it is up to date.
func newFleet(t *testing.T, seed uint64) *fleet {
	network, err := netns.New(seed)
	if errors.Is(err, netns.ErrRefused) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := keptFolder(t, "stores, logs and drawings")
	ctx, cancel := context.WithCancel(t.Context())
	f := &fleet{t: t, ctx: ctx, dir: dir, began: time.Now(), network: network, unload: make(chan struct{}), counts: map[string]int{}}
	t.Cleanup(func() {
		cancel()
		for _, n := range f.nodes() {
			if err := n.close(); err != nil {
				t.Error(err)
			}
		}
		if err := network.Close(); err != nil {
			t.Error(err)
		}
	})
	f.settleIn()
	client, base := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(f.hub.data, "admin.sock"))
	}}}, "http://localhost"
	f.keys = adminv1connect.NewKeyServiceClient(client, base)
	f.people = adminv1connect.NewDirectoryServiceClient(client, base)
	f.about = adminv1connect.NewServerServiceClient(client, base)
	if err := f.heal(); err != nil {
		t.Fatal(err)
	}
	soon, done := context.WithTimeout(ctx, patience)
	defer done()
	if err := f.ready(soon); err != nil {
		t.Fatal(err)
	}
	_, err = f.people.ApplyDirectory(soon, connect.NewRequest(&adminv1.ApplyDirectoryRequest{
		Directory: &directoryv1.Directory{Tenants: []*directoryv1.Tenant{{Id: fleetTenant}}},
	}))
	if err == nil {
		err = f.upToDate()
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// settleIn makes hosts, certificates and configurations.
func (f *fleet) settleIn() {
	const port = 9443
	ca := linktest.NewCA(f.t, "fleet")
	settle := func(name, identity string, last byte, program func() (string, error), config string, args ...string) *node {
		host, err := f.network.Join(netip.AddrFrom4([4]byte{10, 77, 0, last}))
		if err != nil {
			f.t.Fatal(err)
		}
		n, err := newNode(f.dir, name, host, program, f.fail)
		if err != nil {
			f.t.Fatal(err)
		}
		certificates := filepath.Join(f.dir, name+".tls")
		if err := os.Mkdir(certificates, 0o700); err != nil {
			f.t.Fatal(err)
		}
		pair := ca.Issue(f.t, linktest.Leaf{URIs: []string{identity}, IPs: []net.IP{host.Addr().AsSlice()}})
		tls := linktest.Write(f.t, certificates, pair, ca)
		file := filepath.Join(f.dir, name+".yaml")
		config += fmt.Sprintf("tls: {certificate: %s, key: %s, ca: %s}\n", tls.GetCertificate(), tls.GetKey(), tls.GetCa())
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			f.t.Fatal(err)
		}
		n.args = append(args, "--config", file, "--data", n.data, "--http", "unix:"+filepath.Join(f.dir, name+".http"))
		return n
	}
	kodey := slices.IndexFunc(examplePolicies(f.t), func(file string) bool { return strings.Contains(file, kodeyTeam.policy) })
	f.hub = settle("hub", "spiffe://fleet.test/hub", 1, binary, "followers: [spiffe://fleet.test/sidecar/*]\n",
		"serve", "--policy", examplePolicies(f.t)[kodey], "--hub-listen", fmt.Sprintf("10.77.0.1:%d", port))
	for i := range fleetSidecars {
		name := fmt.Sprintf("s%d", i+1)
		f.sidecars = append(f.sidecars, settle(name, "spiffe://fleet.test/sidecar/"+name, byte(i+2), sidecarBinary, "hub_identities: [spiffe://fleet.test/hub]\n",
			"--hub", fmt.Sprintf("%s:%d", f.hub.host.Addr(), port), "--name", name, "--max-staleness", fleetLease.String()))
	}
}

func (f *fleet) nodes() []*node {
	if f.hub == nil {
		return nil
	}
	return append([]*node{f.hub}, f.sidecars...)
}

// kind is what a node is, for counts.
func (n *node) kind() string {
	if n.name == "hub" {
		return "hub"
	}
	return "sidecars"
}
