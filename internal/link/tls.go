package link

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
)

// ErrNotBelieved is within the error of a handshake when the other end isn't
// believed. The end that isn't hears of it by an alert alone.
var ErrNotBelieved = errors.New("the other end of the link isn't believed")

// ServerTLS returns the configuration of a server that talks to those of a list
// alone. Each handshake takes the certificate, the CAs and the list as they are
// then, and asks for a certificate of the client. The source must have one already. The protocols are those that
// ALPN offers; without any it is HTTP/2.
func (s *Source) ServerTLS(list *AllowList, protocols ...string) *tls.Config {
	if len(protocols) == 0 {
		protocols = []string{"h2"}
	}
	server := func(m *material) *tls.Config {
		return &tls.Config{
			MinVersion:   tls.VersionTLS13,
			NextProtos:   protocols,
			Certificates: []tls.Certificate{m.certificate},
			ClientAuth:   tls.RequireAndVerifyClientCert,
			ClientCAs:    m.roots,
			// A session that is resumed isn't a handshake: the client's CA may be
			// believed no more.
			SessionTicketsDisabled: true,
			VerifyConnection: func(state tls.ConnectionState) error {
				if err := m.admit(state.PeerCertificates, x509.ExtKeyUsageClientAuth, list.Now()); err != nil {
					return fmt.Errorf("%w: %w", ErrNotBelieved, err)
				}
				return nil
			},
		}
	}
	// What stands here counts for nothing beside what GetConfigForClient returns;
	// it is the same, for whoever looks at it.
	config := server(s.now.Load())
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return server(s.now.Load()), nil }
	return config
}

// ClientTLS returns the configuration of a client of a server, which is the host
// that is dialled, with or without its port. The server has to be one of those in
// the list; without any, its certificate has to have the name of the host. Each
// handshake takes the certificate, the CAs and the list as they are then.
func (s *Source) ClientTLS(server string, list *AllowList) *tls.Config {
	if host, _, err := net.SplitHostPort(server); err == nil {
		server = host
	}
	server = strings.TrimSuffix(strings.TrimPrefix(server, "["), "]")
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{"h2"},
		ServerName: server,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			m, err := s.current()
			if err != nil {
				return nil, err
			}
			return &m.certificate, nil
		},
		// VerifyConnection verifies all of it: crypto/tls would take the CAs of now
		// for ever, and knows servers by their names alone.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			m, err := s.current()
			if err != nil {
				return err
			}
			if err := m.believe(state.PeerCertificates, server, list.Now()); err != nil {
				return fmt.Errorf("%w: %w", ErrNotBelieved, err)
			}
			return nil
		},
	}
}
