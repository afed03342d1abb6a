package link

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"

	"google.golang.org/grpc/credentials"

	"github.com/latchkey/latchkey/internal/serve"
)

// ServerCredentials is ServerTLS for a gRPC server. Handshakes that fail, of
// which gRPC tells nobody, are told in the log, at most every ten seconds.
func (s *Source) ServerCredentials(list *AllowList) credentials.TransportCredentials {
	return linked{credentials.NewTLS(s.ServerTLS(list)), list, "", serve.Seldom(s.log)}
}

// ClientCredentials is ClientTLS for a gRPC client. The error of a handshake
// comes with the state of the connection.
func (s *Source) ClientCredentials(server string, list *AllowList) credentials.TransportCredentials {
	config := s.ClientTLS(server, list)
	return linked{credentials.NewTLS(config), list, config.ServerName, serve.Seldom(s.log)}
}

// linked are credentials whose connections end when the peer is taken out of the
// list, and that tell of handshakes that failed at a server.
type linked struct {
	credentials.TransportCredentials
	list    *AllowList
	dialled string // the name of the server, for clients
	log     *slog.Logger
}

// ServerHandshake implements credentials.TransportCredentials.
func (c linked) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	raw := &guarded{Conn: conn, list: c.list}
	secured, info, err := c.TransportCredentials.ServerHandshake(raw)
	if err == nil {
		err = c.admit(raw, info, func(certificate *x509.Certificate) func(Identities) bool {
			identity, _ := IdentityOf(certificate)
			name, _ := c.list.Now().Find(identity)
			return func(ids Identities) bool {
				now, ok := ids.Find(identity)
				return ok && now == name
			}
		})
	}
	if err != nil {
		c.log.Warn("a handshake of a link failed", "address", conn.RemoteAddr().String(), "error", err)
	}
	return secured, info, err
}

// ClientHandshake implements credentials.TransportCredentials.
func (c linked) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	raw := &guarded{Conn: conn, list: c.list}
	secured, info, err := c.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil {
		return secured, info, err
	}
	err = c.admit(raw, info, func(certificate *x509.Certificate) func(Identities) bool {
		return func(ids Identities) bool {
			if ids.Empty() {
				return certificate.VerifyHostname(c.dialled) == nil
			}
			identity, _ := IdentityOf(certificate)
			_, ok := ids.Find(identity)
			return ok
		}
	})
	return secured, info, err
}

// admit has the list watch over a connection whose handshake is done.
func (c linked) admit(raw *guarded, info credentials.AuthInfo, still func(*x509.Certificate) func(Identities) bool) error {
	secure, ok := info.(credentials.TLSInfo)
	if ok && len(secure.State.PeerCertificates) > 0 && c.list.guard(raw, still(secure.State.PeerCertificates[0])) {
		return nil
	}
	_ = raw.Close() // why is told by the error
	return fmt.Errorf("%w: the list of those who are let in has changed meanwhile", ErrNotBelieved)
}

// Clone implements credentials.TransportCredentials.
func (c linked) Clone() credentials.TransportCredentials {
	return linked{c.TransportCredentials.Clone(), c.list, c.dialled, c.log}
}
