// Package linktest makes CAs and certificates for tests, and writes them to the
// files that a configuration names.
package linktest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	configv1 "github.com/latchkey/latchkey/proto/latchkey/config/v1"
)

// T is who is told that something can't be made: a *testing.T, or a script.
type T interface {
	Fatalf(format string, args ...any)
}

// CA signs certificates.
type CA struct {
	// Certificate is its own.
	Certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// Leaf is what a certificate says. The zero value is one without a name that is
// valid from an hour ago for a day, for both ends of a link.
type Leaf struct {
	CommonName string
	URIs       []string
	DNSNames   []string
	IPs        []net.IP
	From       time.Time
	Until      time.Time
	Usages     []x509.ExtKeyUsage
}

// Pair is a certificate and its key.
type Pair struct {
	Certificate *x509.Certificate
	Key         *ecdsa.PrivateKey
}

// NewCA makes a CA that is valid for a day.
func NewCA(t T, name string) *CA {
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: serial(t), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	return &CA{sign(t, template, template, key, key), key}
}

// Issue makes a certificate.
func (ca *CA) Issue(t T, l Leaf) *Pair {
	if l.From.IsZero() {
		l.From = time.Now().Add(-time.Hour)
	}
	if l.Until.IsZero() {
		l.Until = time.Now().Add(24 * time.Hour)
	}
	if l.Usages == nil {
		l.Usages = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	}
	template := &x509.Certificate{
		SerialNumber: serial(t), Subject: pkix.Name{CommonName: l.CommonName}, NotBefore: l.From, NotAfter: l.Until,
		DNSNames: l.DNSNames, IPAddresses: l.IPs, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: l.Usages,
		BasicConstraintsValid: true,
	}
	for _, text := range l.URIs {
		uri, err := url.Parse(text)
		if err != nil {
			t.Fatalf("%v", err)
		}
		template.URIs = append(template.URIs, uri)
	}
	key := newKey(t)
	return &Pair{sign(t, template, ca.Certificate, key, ca.key), key}
}

// Write puts a certificate, its key and a CA into a folder, each file in the
// place of the one that was there, and returns a configuration that names them.
func Write(t T, dir string, p *Pair, cas ...*CA) *configv1.TLS {
	config := &configv1.TLS{
		Certificate: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), Ca: filepath.Join(dir, "ca.crt"),
	}
	var bundle []byte
	for _, ca := range cas {
		bundle = append(bundle, ca.PEM()...)
	}
	put := []func(){
		replacing(t, config.GetCertificate(), p.CertificatePEM(), 0o644),
		replacing(t, config.GetKey(), p.KeyPEM(t), 0o600),
		replacing(t, config.GetCa(), bundle, 0o644),
	}
	for _, one := range put { // once all are written: who follows them sees them change together, or nearly so
		one()
	}
	return config
}

// PEM returns the certificate of the CA.
func (ca *CA) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Certificate.Raw})
}

// CertificatePEM returns the certificate.
func (p *Pair) CertificatePEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate.Raw})
}

// KeyPEM returns the private key.
func (p *Pair) KeyPEM(t T) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: p.KeyDER(t)})
}

// KeyDER returns the private key in PKCS #8.
func (p *Pair) KeyDER(t T) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(p.Key)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return der
}

func newKey(t T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return key
}

func serial(t T) *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		t.Fatalf("%v", err)
	}
	return n
}

func sign(t T, template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatalf("%v", err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return made
}

// replacing writes a file, and returns what puts it in the place of another in one step.
func replacing(t T, path string, content []byte, mode os.FileMode) (put func()) {
	next := path + ".next"
	if err := os.WriteFile(next, content, mode); err != nil {
		t.Fatalf("%v", err)
	}
	return func() {
		if err := os.Rename(next, path); err != nil {
			t.Fatalf("%v", err)
		}
	}
}
