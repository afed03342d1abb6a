package link

import (
	"log/slog"
	"net"

	"google.golang.org/grpc/credentials"

	"github.com/latchkey/latchkey/internal/serve"
)

// ServerCredentials is ServerTLS for a gRPC server. Handshakes that fail, of
// which gRPC tells nobody, are told in the log, at most every ten seconds.
func (s *Source) ServerCredentials(ids Identities) credentials.TransportCredentials {
	return told{credentials.NewTLS(s.ServerTLS(ids)), serve.Seldom(s.log)}
}

// ClientCredentials is ClientTLS for a gRPC client. The error of a handshake
// comes with the state of the connection.
func (s *Source) ClientCredentials(server string, ids Identities) credentials.TransportCredentials {
	return credentials.NewTLS(s.ClientTLS(server, ids))
}

// told are credentials that tell of handshakes that failed.
type told struct {
	credentials.TransportCredentials
	log *slog.Logger
}

func (c told) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secured, info, err := c.TransportCredentials.ServerHandshake(conn)
	if err != nil {
		c.log.Warn("a handshake of a link failed", "address", conn.RemoteAddr().String(), "error", err)
	}
	return secured, info, err
}

func (c told) Clone() credentials.TransportCredentials {
	return told{c.TransportCredentials.Clone(), c.log}
}
