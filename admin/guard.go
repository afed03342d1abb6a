package admin

import (
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"

	"connectrpc.com/connect"

	"github.com/latchkey/latchkey/internal/link"
)

// ownHosts are the hosts under which a local client may call. A page in a
// browser that has its own name point at this listener has that name as host.
var ownHosts = []string{"localhost", "latchkey", "127.0.0.1", "::1"}

// guard lets through to the handlers what an honest client sends.
type guard struct {
	hosts     func() []string
	operators *link.AllowList
	handlers  map[string]http.Handler // by path, or by its beginning where that ends in a slash
	write     *connect.ErrorWriter
}

// ServeHTTP implements http.Handler.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store") // some answers hold a token
	handler := g.handler(r.URL.Path)
	switch {
	case len(r.Header.Values("Origin")) > 0:
		g.refuse(w, r, connect.CodePermissionDenied, http.StatusForbidden, "browsers may not call the admin API: use the command line or a program")
	case !g.knows(r.Host):
		g.refuse(w, r, connect.CodePermissionDenied, http.StatusForbidden, "the admin API is not known under this host: call it as localhost, or by a name of its certificate")
	case len(r.Header.Values("Authorization")) > 0:
		g.refuse(w, r, connect.CodePermissionDenied, http.StatusForbidden, "no API key opens the admin API: send no Authorization header")
	case handler == nil:
		g.refuse(w, r, connect.CodeUnimplemented, http.StatusNotFound, "the admin API has no such method: see latchkey/admin/v1/admin.proto")
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		g.refuse(w, r, connect.CodeUnimplemented, http.StatusMethodNotAllowed, "the admin API is called with POST")
	default:
		r = withCertificate(r, g.operators)
		// Methods ask too, for the name that they record; those of others might not.
		if _, err := callerOf(r.Context(), ""); err != nil {
			g.refuse(w, r, connect.CodePermissionDenied, http.StatusForbidden, err.Error())
			return
		}
		handler.ServeHTTP(w, r)
	}
}

func (g *guard) handler(path string) http.Handler {
	if h := g.handlers[path]; h != nil {
		return h
	}
	if end := strings.LastIndexByte(path, '/'); end >= 0 {
		return g.handlers[path[:end+1]]
	}
	return nil
}

func (g *guard) knows(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"))
	return slices.Contains(ownHosts, name) || g.hosts != nil && slices.Contains(g.hosts(), name)
}

func (g *guard) refuse(w http.ResponseWriter, r *http.Request, code connect.Code, status int, text string) {
	if r.Method == http.MethodPost && g.write.IsSupported(r) {
		_ = g.write.Write(w, r, connect.NewError(code, errors.New(text))) // the client is gone
		return
	}
	http.Error(w, text, status)
}
