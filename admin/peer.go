package admin

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/latchkey/latchkey/internal/link"
)

// ConnContext is for http.Server.ConnContext. It reads who is at the other end
// of a unix connection and notes it as the operator, as "uid:0". A peer that
// is neither the user of this process nor root is cut off. A connection of
// another kind gets no operator here; one with a verified client certificate
// may get one by that.
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

// withCertificate notes who a verified client certificate is of as operator, as
// "cert:spiffe://td/ops", if it is one of those who may be it.
func withCertificate(r *http.Request, operators *link.AllowList) *http.Request {
	identity, ok := link.PeerOf(r.TLS)
	if !ok {
		return r
	}
	name, ok := operators.Now().Find(identity)
	if !ok {
		return r
	}
	return r.WithContext(WithOperator(r.Context(), "cert:"+name))
}
