package link

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// material is a certificate and the CAs that are believed, at one moment. It is
// never changed.
type material struct {
	certificate tls.Certificate // with its Leaf
	roots       *x509.CertPool
	// bundles are the CAs of each trust domain; nil where every CA vouches for
	// everybody.
	bundles *x509bundle.Set
}

func (m *material) leaf() *x509.Certificate { return m.certificate.Leaf }

// equal reports whether both have the same certificate and CAs.
func (m *material) equal(o *material) bool {
	return slices.EqualFunc(m.certificate.Certificate, o.certificate.Certificate, bytes.Equal) &&
		m.roots.Equal(o.roots) && sameBundles(m.bundles, o.bundles)
}

func sameBundles(a, b *x509bundle.Set) bool {
	if a == nil || b == nil {
		return a == b
	}
	for _, one := range a.Bundles() {
		if other, ok := b.Get(one.TrustDomain()); !ok || !one.Equal(other) {
			return false
		}
	}
	return a.Len() == b.Len()
}

// usable is the check that a certificate is in date.
func usable(leaf *x509.Certificate, where string) error {
	now := time.Now()
	switch {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("%s: the certificate expired at %s: put a new one in its place", where, leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("%s: the certificate isn't valid before %s: see whether the clock of this machine is right", where, leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}

// verify is the check that a CA vouches for a certificate, the first of these,
// for a purpose.
func (m *material) verify(certificates []*x509.Certificate, purpose x509.ExtKeyUsage) error {
	if len(certificates) == 0 {
		return errors.New("the peer has no certificate")
	}
	if m.bundles != nil {
		// A federated CA vouches for its own trust domain and for no other.
		_, _, err := x509svid.Verify(certificates, m.bundles)
		return err
	}
	between := x509.NewCertPool()
	for _, c := range certificates[1:] {
		between.AddCert(c)
	}
	_, err := certificates[0].Verify(x509.VerifyOptions{Roots: m.roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{purpose}})
	return err
}

// admit is the check that a CA vouches for a peer, and that it is one of these.
func (m *material) admit(certificates []*x509.Certificate, purpose x509.ExtKeyUsage, ids Identities) error {
	if err := m.verify(certificates, purpose); err != nil {
		return err
	}
	identity, ok := IdentityOf(certificates[0])
	if !ok {
		return errors.New("the peer's certificate has no identity: it has to have one SPIFFE id, or DNS names")
	}
	if _, ok := ids.Find(identity); !ok {
		return fmt.Errorf("the peer is %q, which is none of the identities that are let in: add it to them if it should be", identity)
	}
	return nil
}

// believe is the check that a CA vouches for a server, and that it is one of
// these or, without any, that its certificate has the name that was dialled.
func (m *material) believe(certificates []*x509.Certificate, dialled string, ids Identities) error {
	if !ids.Empty() {
		return m.admit(certificates, x509.ExtKeyUsageServerAuth, ids)
	}
	if err := m.verify(certificates, x509.ExtKeyUsageServerAuth); err != nil {
		return err
	}
	if err := certificates[0].VerifyHostname(dialled); err != nil {
		return fmt.Errorf("it isn't known by the name that was dialled: dial one of its names, or say which identity it has: %w", err)
	}
	return nil
}

// namesOf returns the DNS names and IP addresses of a certificate.
func namesOf(c *x509.Certificate) []string {
	var names []string
	for _, name := range c.DNSNames {
		names = append(names, strings.ToLower(name))
	}
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}
