package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/latchkey/latchkey/internal/link/linktest"
	configv1 "github.com/latchkey/latchkey/proto/latchkey/config/v1"
)

// certificates are those of the hub and of all replicas, for a link over TCP.
type certificates struct {
	hub, sidecar string // configuration files
	client       *tls.Config
}

// Names of the two ends.
const (
	hubName      = "hub.fleet.test"
	followerName = "replica.fleet.test"
)

// unmade is the error of a certificate that can't be made.
type unmade struct{ error }

// certificateMaker is told by panics what can't be made.
type certificateMaker struct{}

func (certificateMaker) Fatalf(format string, args ...any) {
	panic(unmade{fmt.Errorf("making certificates: "+format, args...)})
}

func makeCertificates(dir string) (c *certificates, err error) {
	defer func() {
		if why, ok := recover().(unmade); ok {
			err = why.error
		}
	}()
	var t certificateMaker
	ca := linktest.NewCA(t, "fleet")
	c = &certificates{hub: filepath.Join(dir, "hub.yaml"), sidecar: filepath.Join(dir, "sidecar.yaml")}
	files := func(name string, leaf linktest.Leaf) (*linktest.Pair, *configv1.TLS) {
		at := filepath.Join(dir, name)
		if err := os.Mkdir(at, 0o700); err != nil {
			t.Fatalf("%v", err)
		}
		pair := ca.Issue(t, leaf)
		return pair, linktest.Write(t, at, pair, ca)
	}
	_, hub := files(hubName, linktest.Leaf{DNSNames: []string{hubName}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	pair, follower := files(followerName, linktest.Leaf{DNSNames: []string{followerName}})
	if err := writeConfig(c.hub, hub, "followers", followerName); err != nil {
		return nil, err
	}
	if err := writeConfig(c.sidecar, follower, "hub_identities", hubName); err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.Certificate)
	c.client = &tls.Config{
		RootCAs: roots, ServerName: hubName, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS13,
		Certificates: []tls.Certificate{{Certificate: [][]byte{pair.Certificate.Raw}, PrivateKey: pair.Key}},
	}
	return c, nil
}

// writeConfig writes a configuration of one end: who it is, and whom it believes. JSON is YAML.
func writeConfig(file string, end *configv1.TLS, field, identity string) error {
	text, err := json.Marshal(map[string]any{
		"tls": map[string]string{"certificate": end.GetCertificate(), "key": end.GetKey(), "ca": end.GetCa()},
		field: []string{identity},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}
