package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// Identity is who a certificate says that its holder is. The zero value is
// nobody.
type Identity struct {
	spiffe string   // a SPIFFE id
	dns    []string // or DNS names, in lower case
}

// String returns the SPIFFE id, or the first DNS name, or nothing for nobody.
func (i Identity) String() string {
	if i.spiffe == "" && len(i.dns) > 0 {
		return i.dns[0]
	}
	return i.spiffe
}

// IdentityOf returns who a certificate says that its holder is: the SPIFFE id
// that is its one URI, or its DNS names. A certificate with a URI of SPIFFE that
// is none, or beside another, is of nobody: it mustn't be believed by halves.
// The common name counts for nothing. Whether the certificate is to be believed
// is another question.
func IdentityOf(c *x509.Certificate) (Identity, bool) {
	for _, uri := range c.URIs {
		if !strings.EqualFold(uri.Scheme, "spiffe") {
			continue
		}
		id, err := spiffeid.FromURI(uri)
		if err != nil || len(c.URIs) > 1 {
			return Identity{}, false
		}
		return Identity{spiffe: id.String()}, true
	}
	var i Identity
	for _, name := range c.DNSNames {
		// A wildcard says what a server answers to, and not who it is.
		if name = strings.ToLower(name); dnsProblem(name) == "" {
			i.dns = append(i.dns, name)
		}
	}
	return i, len(i.dns) > 0
}

// Peer returns who the client of a gRPC call is, by the certificate that a
// configuration of ServerTLS verified, and false without one.
func Peer(ctx context.Context) (Identity, bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return Identity{}, false
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return Identity{}, false
	}
	return PeerOf(&info.State)
}

// PeerOf is Peer for the connection of an HTTP request; nil is one without TLS.
func PeerOf(state *tls.ConnectionState) (Identity, bool) {
	if state == nil || len(state.VerifiedChains) == 0 || len(state.VerifiedChains[0]) == 0 {
		return Identity{}, false
	}
	return IdentityOf(state.VerifiedChains[0][0])
}
