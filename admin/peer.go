package admin

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
)

// ConnContext is for http.Server.ConnContext. It reads who is at the other end
// of a unix connection and notes it as the operator, as "uid:0". A peer that
// is neither the user of this process nor root is cut off. A connection of
// another kind gets no operator here; one with a verified client certificate
// gets its name from that.
func ConnContext(ctx context.Context, conn net.Conn) context.Context {
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		return ctx
	}
	uid, err := peerUID(socket)
	if err != nil || uid != 0 && uid != uint32(os.Geteuid()) {
		_ = conn.Close() // the request that may be under way has no operator, and is refused
		return ctx
	}
	return WithOperator(ctx, fmt.Sprintf("uid:%d", uid))
}

// peerUID asks the kernel which user made the connection.
func peerUID(conn *net.UnixConn) (uint32, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var uid uint32
	var asked error
	if err := raw.Control(func(fd uintptr) { uid, asked = socketPeer(int(fd)) }); err != nil {
		return 0, err
	}
	return uid, asked
}

// withCertificate notes the name in a verified client certificate as operator.
func withCertificate(r *http.Request) *http.Request {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.VerifiedChains[0]) == 0 {
		return r
	}
	if name := certificateName(r.TLS.VerifiedChains[0][0]); name != "" {
		return r.WithContext(WithOperator(r.Context(), "cert:"+name))
	}
	return r
}

// certificateName is the most specific name that a certificate has.
func certificateName(c *x509.Certificate) string {
	switch {
	case len(c.URIs) > 0:
		return c.URIs[0].String()
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	}
	return c.Subject.CommonName
}
