package corpus

import (
	"strings"

	"github.com/latchkey/latchkey/internal/oracle"
)

// outcome is what Envoy makes of a case: its own answer, or the request that it
// asks about and, if allowed, passes on. One of the two is set.
type outcome struct {
	own  own
	pass *oracle.Request
}

// model says what an Envoy of the profile makes of a case.
func model(p Profile, c Case) outcome {
	if own, ok := c.envoy[p]; ok {
		return outcome{own: own}
	}
	m := &envoy{profile: p, proto: c.Proto, options: c.sent.method == "OPTIONS"}
	r := m.read(c.sent)
	if m.own != nil {
		return outcome{own: m.own}
	}
	return outcome{pass: &r}
}

// envoy is the state of one reading; own is set when Envoy answers by itself.
type envoy struct {
	profile Profile
	proto   string
	options bool // the method is OPTIONS
	own     []int
}

// refuse is the answer to an invalid message: 400, or on HTTP/2 a stream or
// connection that ends without a status.
func (m *envoy) refuse() {
	m.own = []int{400}
	if m.proto == "h2" {
		m.own = []int{0}
	}
}

func (m *envoy) read(s sent) oracle.Request {
	r := oracle.Request{Method: s.method, Host: strings.Join(s.hosts, ",")}
	if s.method == "CONNECT" {
		if s.protocol == "" {
			m.own = []int{404} // no route of ours connects
			if strings.HasPrefix(s.target, "/") {
				m.own = []int{400}
			}
			return r
		}
		r.Method = "GET" // an extended CONNECT arrives as the handshake it stands for
	}
	m.method(s.method)
	path, authority := m.target(s.target)
	if authority != "" {
		r.Host = authority
	}
	if m.profile == Hardened {
		r.Host = withoutDot(r.Host)
	}
	r.Headers = m.headers(s.headers)
	if m.own != nil {
		return r
	}
	if path = m.normalize(path); m.own != nil {
		return r
	}
	r.Path = oneByte(path)
	if m.profile == Hardened {
		r.RawPath = &path
	}
	return r
}

// withoutDot drops one dot at the end of a host, before its port.
func withoutDot(host string) string {
	name, port := host, ""
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		name, port = host[:i], host[i:]
	}
	return strings.TrimSuffix(name, ".") + port
}

// method: HTTP/1 knows a fixed list of methods in capitals; HTTP/2 passes any
// token but QUERY.
func (m *envoy) method(method string) {
	if m.proto == "h2" && method != "QUERY" {
		return
	}
	for _, known := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "LINK", "PURGE", "SEARCH", "REPORT"} {
		if method == known {
			return
		}
	}
	m.own = []int{400}
}

// seenHardened are the headers that the hardened profile shows to the check.
var seenHardened = []string{"authorization", "x-request-id", "content-type", "x-team-id", "x-organization-id", "origin", "access-control-request-method"}

// headers is what the check sees: Authorization as one value, empty ones left
// out of it, bytes that are not UTF-8 replaced in the plain profile; in the
// hardened one underscores refused and the rest hidden.
func (m *envoy) headers(sent []oracle.Header) []oracle.Header {
	dropped := nominated(sent)
	var out []oracle.Header
	credential := -1
	for _, h := range sent {
		if strings.Contains(h.Name, "_") && m.profile == Hardened {
			m.own = []int{400}
			if m.proto == "h2" {
				m.own = []int{0}
			}
		}
		if m.proto == "h1" && contains(dropped, h.Name) {
			continue
		}
		if m.profile == Hardened {
			if !contains(seenHardened, h.Name) {
				continue
			}
		} else {
			h.Value = oneByte(h.Value)
		}
		if h.Name == "authorization" {
			switch {
			case credential < 0:
				credential = len(out)
			case h.Value == "":
				continue
			case out[credential].Value == "":
				out[credential].Value = h.Value
				continue
			default:
				out[credential].Value += "," + h.Value
				continue
			}
		}
		out = append(out, h)
	}
	return out
}

// nominated are the headers that Connection names: HTTP/1 drops them.
func nominated(sent []oracle.Header) []string {
	var names []string
	for _, h := range sent {
		if h.Name == "connection" {
			for _, name := range strings.Split(strings.ToLower(h.Value), ",") {
				if name = strings.TrimSpace(name); name != "close" && name != "keep-alive" && name != "upgrade" {
					names = append(names, name)
				}
			}
		}
	}
	return names
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// oneByte replaces every byte that is not valid UTF-8 with '!'.
func oneByte(s string) string {
	var b strings.Builder
	for i, r := range s {
		if r == '\uFFFD' && !strings.HasPrefix(s[i:], "\uFFFD") {
			b.WriteByte('!')
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
