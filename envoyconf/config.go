package envoyconf

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
	"unicode"

	"github.com/latchkey/latchkey/internal/serve"
)

// Config is what one Envoy is told: where it stands between clients, the API and Latchkey. All addresses that have no "may be
// nil" are required.
type Config struct {
	// Reads is what the policies read.
	Reads Reads
	// Policies are the names of those policies; they are named in its first lines.
	Policies []string
	// Command is the command line that prints this configuration; it is repeated in its first lines. May be empty.
	Command string
	// Name is that of the listener, and begins the names of its statistics: http.NAME.
	Name string
	// Listen is where clients connect to: an IP address and a port.
	Listen serve.Address
	// Upstream is where requests go that pass: the API.
	Upstream serve.Address
	// UpstreamGRPC is where gRPC requests go, over HTTP/2 in clear text. May be nil: to Upstream, like all others.
	UpstreamGRPC *serve.Address
	// Authz is where Latchkey answers: a Unix socket, or a loopback address.
	Authz serve.Address
	// CheckTimeout bounds one check, a retry included.
	CheckTimeout time.Duration
	// Admin is where Envoy's own admin interface listens: a Unix socket, or a loopback address. May be nil: it has none then.
	Admin *serve.Address
	// TLS is what Envoy is to clients.
	TLS TLS
	// Pins are hosts whose policy, and environment, this Envoy decides.
	Pins []Pin
}

// TLS names files as Envoy reads them. Empty: Envoy speaks clear text, and TLS ends before it.
type TLS struct {
	Certificate, Key string
	// ClientCA vouches for the certificates that clients must have. Empty: none is asked for.
	ClientCA string
}

// Pin gives the requests for a host to a policy, whatever hosts that claims.
type Pin struct {
	Host        string
	Policy      string
	Environment string // empty: that of the host in the policy, or any
}

// check returns all that is wrong with a configuration.
func (c *Config) check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Listen.IsUnix() || net.ParseIP(c.Listen.Host()) == nil {
		wrong("where Envoy listens for clients must be an IP address and a port, such as 0.0.0.0:10000 for all of the machine's: %s is none", c.Listen)
	}
	for _, upstream := range []*serve.Address{&c.Upstream, c.UpstreamGRPC} {
		if upstream != nil && !upstream.IsUnix() && upstream.Host() == "" {
			wrong("the API at %s has no host: name one, such as 127.0.0.1", upstream)
		}
	}
	for _, a := range []struct {
		what string
		at   *serve.Address
		why  string
	}{
		{"Latchkey", &c.Authz, "the credentials of all requests go there in clear text: run Latchkey, or its sidecar, beside Envoy"},
		{"Envoy's admin interface", c.Admin, "who reaches it can end Envoy and read its configuration: name a Unix socket, or a port of 127.0.0.1"},
	} {
		if a.at != nil && !a.at.IsUnix() && !IsLoopback(a.at.Host()) {
			wrong("%s at %s is not on this machine: %s", a.what, a.at, a.why)
		}
	}
	if (c.TLS.Certificate == "") != (c.TLS.Key == "") {
		wrong("a certificate and its key go together: name both files, or none")
	}
	if c.TLS.ClientCA != "" && c.TLS.Certificate == "" {
		wrong("clients can't be asked for certificates without TLS: name Envoy's certificate and key too")
	}
	if c.CheckTimeout < time.Millisecond || c.CheckTimeout > 10*time.Second {
		wrong("a check may take from 1ms to 10s, not %s", c.CheckTimeout)
	}
	// They stand in comments, which a line break would end: what follows would be configuration.
	for _, text := range append([]string{c.Command}, c.Policies...) {
		if !printable(text) {
			wrong("%q has a line break or another character that can't be printed, and would be part of a comment: use another name", text)
		}
	}
	hosts := map[string]bool{}
	for _, p := range c.Pins {
		if !printable(p.Host) {
			wrong("the host %q has a character that no host has", p.Host)
		}
		if hosts[p.Host] {
			wrong("the host %s is given to two policies: name it once", p.Host)
		}
		hosts[p.Host] = true
	}
	return errors.Join(errs...)
}

func printable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// IsLoopback reports whether a host is this machine and nothing but that.
func IsLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
