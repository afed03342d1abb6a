package corpus

import (
	"fmt"
	"strings"

	"github.com/latchkey/latchkey/internal/oracle"
)

// builder collects the cases of a class.
type builder struct {
	w     *oracle.World
	class string
	cases []Case
}

// request is what most cases vary: a line, a key, and more.
type request struct {
	line    string          // "GET /v1/chat"
	key     string          // fixture name; "" for none
	host    string          // "" for the host of the key's system
	auth    []string        // Authorization values, instead of Bearer and the key's token
	headers []oracle.Header // more headers, as written
	body    string
	keep    bool // no Connection: close
	envoy   map[Profile]own
}

var hosts = map[string]string{
	"kodey": "api.kodey.example", "cuneiform": "api.cuneiform.example",
	"spotzee": "apix.spotzee.com", "shortkit": "api.shortkit.dev",
}

func hostOf(k *oracle.Key) string {
	if k.Policy == "shortkit" && k.Environment == "test" {
		return "api.staging.shortkit.dev"
	}
	return hosts[k.Policy]
}

// complete turns a request into the headers it is sent with.
func (b *builder) complete(r request) (s sent, keyID string) {
	s.method, s.target, _ = strings.Cut(r.line, " ")
	host := r.host
	if r.key != "" {
		k := b.w.Find(r.key)
		keyID = k.ID
		if host == "" {
			host = hostOf(k)
		}
		if r.auth == nil {
			r.auth = []string{"Bearer " + k.Token}
		}
	}
	s.hosts = []string{host}
	for _, a := range r.auth {
		s.headers = append(s.headers, oracle.Header{Name: "authorization", Value: a})
	}
	s.headers = append(s.headers, r.headers...)
	return s, keyID
}

// h1 adds an HTTP/1.1 case.
func (b *builder) h1(name string, r request) {
	s, id := b.complete(r)
	var raw strings.Builder
	fmt.Fprintf(&raw, "%s %s HTTP/1.1\r\nHost: %s\r\n", s.method, s.target, s.hosts[0])
	for _, h := range s.headers {
		fmt.Fprintf(&raw, "%s: %s\r\n", h.Name, h.Value)
	}
	if r.body != "" {
		fmt.Fprintf(&raw, "Content-Length: %d\r\n", len(r.body))
	}
	if !r.keep {
		raw.WriteString("Connection: close\r\n")
	}
	raw.WriteString("\r\n" + r.body)
	for i, h := range s.headers {
		s.headers[i] = oracle.Header{Name: strings.ToLower(h.Name), Value: strings.Trim(h.Value, " \t")}
	}
	b.raw(name, Case{Raw: []byte(raw.String()), KeyID: id, sent: s, envoy: r.envoy})
}

// raw adds an HTTP/1.1 case whose bytes are written by hand.
func (b *builder) raw(name string, c Case) {
	c.Class, c.Name, c.Proto = b.class, "h1 "+name, "h1"
	b.cases = append(b.cases, c)
}

// h2 adds an HTTP/2 case.
func (b *builder) h2(name string, r request) {
	s, id := b.complete(r)
	headers := []oracle.Header{{Name: ":method", Value: s.method}, {Name: ":scheme", Value: "http"}, {Name: ":authority", Value: s.hosts[0]}, {Name: ":path", Value: s.target}}
	b.frames(name, Case{H2: append(headers, s.headers...), KeyID: id, sent: s, envoy: overHTTP2(r.envoy)})
}

// overHTTP2 is what Envoy answers to the same request over HTTP/2: too large
// headers end the stream without a status.
func overHTTP2(e map[Profile]own) map[Profile]own {
	for _, o := range e {
		if len(o) == 1 && o[0] == 431 {
			return always(0)
		}
	}
	return e
}

// frames adds an HTTP/2 case whose headers are written by hand.
func (b *builder) frames(name string, c Case) {
	c.Class, c.Name, c.Proto = b.class, "h2 "+name, "h2"
	b.cases = append(b.cases, c)
}

// both adds the same request over HTTP/1.1 and HTTP/2.
func (b *builder) both(name string, r request) {
	b.h1(name, r)
	b.h2(name, r)
}

// on says that Envoy answers by itself in a profile.
func on(p Profile, statuses ...int) map[Profile]own { return map[Profile]own{p: statuses} }

// always says that Envoy answers by itself in both profiles.
func always(statuses ...int) map[Profile]own {
	return map[Profile]own{Plain: statuses, Hardened: statuses}
}

func header(name, value string) []oracle.Header { return []oracle.Header{{Name: name, Value: value}} }
