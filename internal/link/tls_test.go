package link

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/internal/link/linktest"
)

// pairConfig is a client that believes every server: what is tried is the server.
func pairConfig(p *linktest.Pair) *tls.Config {
	c := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}
	if p != nil {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &tls.Certificate{Certificate: [][]byte{p.Certificate.Raw}, PrivateKey: p.Key}, nil
		}
	}
	return c
}

func TestWhoMayConnect(t *testing.T) {
	ca, other := linktest.NewCA(t, "ca"), linktest.NewCA(t, "ca") // of the same name
	hub, _ := open(t, linktest.Write(t, t.TempDir(), ca.Issue(t, hubLeaf), ca))
	address := serveTLS(t, hub.ServerTLS(list(t, "spiffe://td/sidecar/*", "spiffe://td/one", "ops.example")))
	nobody := serveTLS(t, hub.ServerTLS(NewAllowList(Identities{})))
	now := time.Now()
	for name, c := range map[string]struct {
		by   *linktest.CA
		leaf linktest.Leaf
		who  string // empty: refused
	}{
		"an id below":            {ca, sidecarLeaf, "spiffe://td/sidecar/a"},
		"an id":                  {ca, linktest.Leaf{URIs: []string{"spiffe://td/one"}}, "spiffe://td/one"},
		"a name":                 {ca, linktest.Leaf{DNSNames: []string{"ops.example"}}, "ops.example"},
		"another CA":             {other, sidecarLeaf, ""},
		"the wildcard's parent":  {ca, linktest.Leaf{URIs: []string{"spiffe://td/sidecar"}}, ""},
		"beside the wildcard":    {ca, linktest.Leaf{URIs: []string{"spiffe://td/sidecars/a"}}, ""},
		"another id":             {ca, linktest.Leaf{URIs: []string{"spiffe://td/two"}}, ""},
		"another trust domain":   {ca, linktest.Leaf{URIs: []string{"spiffe://td2/one"}}, ""},
		"a name beside an id":    {ca, linktest.Leaf{URIs: []string{"spiffe://td/two"}, DNSNames: []string{"ops.example"}}, ""},
		"two ids":                {ca, linktest.Leaf{URIs: []string{"spiffe://td/one", "spiffe://td/sidecar/a"}}, ""},
		"an id and another URI":  {ca, linktest.Leaf{URIs: []string{"spiffe://td/one", "https://td/"}}, ""},
		"a common name":          {ca, linktest.Leaf{CommonName: "ops.example"}, ""},
		"a common name as an id": {ca, linktest.Leaf{CommonName: "spiffe://td/one"}, ""},
		"no name":                {ca, linktest.Leaf{}, ""},
		"another name":           {ca, linktest.Leaf{DNSNames: []string{"dev.example"}}, ""},
		"a wildcard as a name":   {ca, linktest.Leaf{DNSNames: []string{"*.example"}}, ""},
		"expired":                {ca, linktest.Leaf{URIs: sidecarLeaf.URIs, From: now.Add(-2 * time.Hour), Until: now.Add(-time.Minute)}, ""},
		"of tomorrow":            {ca, linktest.Leaf{URIs: sidecarLeaf.URIs, From: now.Add(time.Hour)}, ""},
		"for servers alone":      {ca, linktest.Leaf{URIs: sidecarLeaf.URIs, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := c.by.Issue(t, c.leaf)
			who, err := connect(t, address, pairConfig(p))
			if who != c.who || (err == nil) != (c.who != "") {
				t.Errorf("taken for %q, %v; want %q", who, err, c.who)
			}
			if who, err := connect(t, nobody, pairConfig(p)); err == nil {
				t.Errorf("an empty list let in %q", who)
			}
		})
	}
	t.Run("no certificate", func(t *testing.T) {
		if who, err := connect(t, address, pairConfig(nil)); err == nil {
			t.Errorf("taken for %q", who)
		}
	})
	t.Run("a certificate without its key", func(t *testing.T) {
		p := ca.Issue(t, sidecarLeaf)
		p.Key = ca.Issue(t, sidecarLeaf).Key
		if who, err := connect(t, address, pairConfig(p)); err == nil {
			t.Errorf("taken for %q", who)
		}
	})
	t.Run("TLS 1.2", func(t *testing.T) {
		old := pairConfig(ca.Issue(t, sidecarLeaf))
		old.MaxVersion = tls.VersionTLS12
		if _, err := dial(t, address, old); err == nil {
			t.Error("a handshake of TLS 1.2 succeeded")
		}
	})
	t.Run("another protocol", func(t *testing.T) {
		other := pairConfig(ca.Issue(t, sidecarLeaf))
		other.NextProtos = []string{"smtp"}
		if _, err := dial(t, address, other); err == nil {
			t.Error("a protocol that isn't served was agreed on")
		}
	})
	t.Run("nothing of TLS", func(t *testing.T) {
		plain, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = plain.Close() }()
		_ = plain.SetDeadline(time.Now().Add(patience))
		if _, err := plain.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 100)
		if n, _ := plain.Read(answer); n > 0 && strings.Contains(string(answer[:n]), "spiffe") {
			t.Errorf("answered %q", answer[:n])
		}
	})
}

// Without tickets every connection is a whole handshake, which asks the CAs of
// that moment.
func TestNoSessionIsResumed(t *testing.T) {
	ca := linktest.NewCA(t, "ca")
	hub, _ := open(t, linktest.Write(t, t.TempDir(), ca.Issue(t, hubLeaf), ca))
	address := serveTLS(t, hub.ServerTLS(list(t, "spiffe://td/sidecar/*")))
	config := pairConfig(ca.Issue(t, sidecarLeaf))
	config.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	config.ServerName = "localhost"
	for range 3 {
		c, err := dial(t, address, config)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.whoAmI(); err != nil { // reads the tickets, if there are any
			t.Fatal(err)
		}
		if c.ConnectionState().DidResume {
			t.Fatal("a session was resumed")
		}
	}
}

func TestWhichServerIsBelieved(t *testing.T) {
	ca, other := linktest.NewCA(t, "ca"), linktest.NewCA(t, "ca")
	sidecar, _ := open(t, linktest.Write(t, t.TempDir(), ca.Issue(t, sidecarLeaf), ca))
	for name, c := range map[string]struct {
		by     *linktest.CA
		leaf   linktest.Leaf
		dialed string
		ids    []string
		says   string // empty: believed
	}{
		"by its name":             {ca, hubLeaf, "localhost", nil, ""},
		"with a port":             {ca, hubLeaf, "localhost:9903", nil, ""},
		"by its IP":               {ca, hubLeaf, "127.0.0.1", nil, ""},
		"by its identity":         {ca, hubLeaf, "10.0.0.1:1", []string{"spiffe://td/hub"}, ""},
		"by one of two":           {ca, hubLeaf, "[::1]:1", []string{"spiffe://td/other", "spiffe://td/*"}, ""},
		"by another name":         {ca, hubLeaf, "hub.example", nil, "name that was dialled"},
		"by another IP":           {ca, hubLeaf, "[::1]:1", nil, "name that was dialled"},
		"by a common name":        {ca, linktest.Leaf{CommonName: "localhost"}, "localhost", nil, "name that was dialled"},
		"another identity":        {ca, hubLeaf, "localhost", []string{"spiffe://td/other"}, `"spiffe://td/hub"`},
		"a name where there's an": {ca, hubLeaf, "localhost", []string{"localhost"}, `"spiffe://td/hub"`},
		"another CA":              {other, hubLeaf, "localhost", nil, "unknown authority"},
		"another CA, by identity": {other, hubLeaf, "localhost", []string{"spiffe://td/hub"}, "unknown authority"},
		"expired":                 {ca, linktest.Leaf{DNSNames: []string{"localhost"}, From: time.Now().Add(-2 * time.Hour), Until: time.Now().Add(-time.Hour)}, "localhost", nil, "expired"},
		"a client's":              {ca, linktest.Leaf{DNSNames: []string{"localhost"}, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, "localhost", nil, "incompatible key usage"},
	} {
		t.Run(name, func(t *testing.T) {
			p := c.by.Issue(t, c.leaf)
			// Not by a Source, which has nothing to do with an expired certificate.
			address := serveTLS(t, &tls.Config{
				Certificates: []tls.Certificate{{Certificate: [][]byte{p.Certificate.Raw}, PrivateKey: p.Key}},
				ClientAuth:   tls.RequireAnyClientCert, NextProtos: []string{"h2"},
			})
			_, err := dial(t, address, sidecar.ClientTLS(c.dialed, list(t, c.ids...)))
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
}

// Who was not verified is nobody.
func TestPeerNeedsAVerifiedCertificate(t *testing.T) {
	certificate := linktest.NewCA(t, "ca").Issue(t, sidecarLeaf).Certificate
	for name, state := range map[string]*tls.ConnectionState{
		"no TLS":         nil,
		"no certificate": {},
		"not verified":   {PeerCertificates: []*x509.Certificate{certificate}},
	} {
		if who, ok := PeerOf(state); ok || who.String() != "" {
			t.Errorf("%s: %q", name, who)
		}
	}
	if who, ok := Peer(t.Context()); ok {
		t.Errorf("a context without a peer is of %q", who)
	}
}
