package envoytest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Profile is how much of Envoy's own protection a listener switches on.
type Profile string

const (
	// Plain leaves Envoy's defaults as they are: paths are not normalized, headers
	// reach the authorization server as a map of joined values, all of them.
	Plain Profile = "plain"
	// Hardened is the recommended configuration: one spelling per path, raw headers,
	// only the listed ones, and mutations limited to what Latchkey needs.
	Hardened Profile = "hardened"
)

// Route gives requests for one host and path prefix their own context extensions.
type Route struct {
	// Domain is the virtual host: a host name, a wildcard such as "*.example", or
	// empty for every host.
	Domain string
	// Prefix of the path, as Envoy's prefix match reads it. Empty means "/".
	Prefix string
	// Extensions arrive in CheckRequest.attributes.context_extensions, merged over
	// those of the listener.
	Extensions map[string]string
}

// Listener is one port of the Envoy under test.
type Listener struct {
	// Name is unique within a Config, of the form [a-z][a-z0-9_-]*; statistics are
	// found under http.<Name>. Empty means the profile's name.
	Name    string
	Profile Profile
	// Address is host:port. Empty means a port of 127.0.0.1 that the kernel chooses.
	Address string
	// Extensions arrive with every check of this listener.
	Extensions map[string]string
	// Routes come before the catch-all route, which is always there: a request that
	// matches no route would never be checked.
	Routes []Route
}

// Config describes one Envoy. The zero value of a field means the default named there.
type Config struct {
	// AuthzSocket is the Unix socket of the authorization server, at most 107 bytes
	// long. It need not exist yet. Required.
	AuthzSocket string
	// MoreAuthzSockets are further authorization servers, between which Hardened listeners
	// share out their checks.
	MoreAuthzSockets []string
	// CheckRetries is how often Hardened listeners ask again, for CheckTimeout in all, when
	// they can't reach the authorization server; 0 by default. With any the health of one
	// that was away once is asked for as seldom as that of others, and it is left in use.
	CheckRetries int
	// Upstream is the host:port that allowed requests are sent to over HTTP/1. Required.
	Upstream string
	// GRPCUpstream is the host:port for requests whose content-type is
	// application/grpc, over cleartext HTTP/2. Empty sends them to Upstream.
	GRPCUpstream string
	// Listeners, at least one.
	Listeners []Listener
	// PolicyHeaders are the headers that policies read beside authorization: where
	// credentials and tenants are named. Hardened listeners show the authorization
	// server these and let it change these.
	PolicyHeaders []string
	// CheckTimeout bounds one check; 200 ms by default. Busy machines want more.
	CheckTimeout time.Duration
	// CloseDelay is how long Envoy waits for a client to go before it closes a connection
	// whose request it refused by itself. Zero means its default, a second.
	CloseDelay time.Duration
	// HealthInterval is the time between two health checks of the authorization
	// server by Hardened listeners; one second by default.
	HealthInterval time.Duration
	// UnhealthyThreshold is how many health checks have to go without an answer, one after the other,
	// until Hardened listeners refuse everything; 2 by default. One that says NOT_SERVING is believed
	// at once. Busy machines want more.
	UnhealthyThreshold int
	// Traces is the host:port of an OTLP receiver over gRPC that Envoy sends its spans to:
	// every request is traced then. Empty means none is.
	Traces string
	// Admin is the host:port of Envoy's admin interface. Bootstrap leaves it out when
	// empty; Start always opens one, by default on a port that the kernel chooses.
	Admin string
	// AccessLog is the file that Envoy writes a JSON line per request to. Start's
	// default is a file in Dir, Bootstrap's is /dev/stdout.
	AccessLog string

	// Written is a whole configuration that somebody else wrote, for Start, which then reads no field above but the names
	// of Listeners, which it waits for, and AccessLog. It must have an admin interface over TCP.
	Written []byte

	// Dir is an existing folder for the configuration and the logs of the process. Start
	// makes a temporary one, and Stop removes it, when it is empty.
	Dir string
	// Log receives what Envoy prints, beside the file in Dir. May be nil.
	Log io.Writer
	// StartTimeout bounds Start; 30 seconds by default.
	StartTimeout time.Duration

	// cases adds the x-case header to the access log, for Envoy.AccessLog.
	cases bool
}

var (
	listenerName = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)
	headerName   = regexp.MustCompile(`^[a-z0-9!#$&'*+.^_|~-]+$`)
)

// maxSocketPath is what sockaddr_un holds on Linux, less the final NUL.
const maxSocketPath = 107

// withDefaults returns the config with every optional field filled in, or all the
// mistakes in it at once.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("envoytest: "+format, args...)) }

	for i, socket := range append([]string{c.AuthzSocket}, c.MoreAuthzSockets...) {
		field := "AuthzSocket"
		if i > 0 {
			field = fmt.Sprintf("MoreAuthzSockets[%d]", i-1)
		}
		switch n := len(socket); {
		case n == 0:
			bad("Config.%s is empty: name the authorization server's Unix socket", field)
		case n > maxSocketPath:
			bad("Config.%s is %d bytes long and a Unix socket path holds %d: use a shorter folder (see SocketDir)", field, n, maxSocketPath)
		}
	}
	if c.Upstream == "" {
		bad("Config.Upstream is empty: name the upstream's host:port")
	}
	for _, a := range []struct{ field, addr string }{
		{"Upstream", c.Upstream}, {"GRPCUpstream", c.GRPCUpstream}, {"Traces", c.Traces}, {"Admin", c.Admin},
	} {
		if _, _, err := splitAddr(a.addr); err != nil && a.addr != "" {
			bad("Config.%s: %w", a.field, err)
		}
	}
	headers := make([]string, len(c.PolicyHeaders))
	for i, h := range c.PolicyHeaders {
		if headers[i] = strings.ToLower(h); !headerName.MatchString(headers[i]) {
			bad("Config.PolicyHeaders: %q is not a header name", h)
		}
	}
	c.PolicyHeaders = headers

	if len(c.Listeners) == 0 {
		bad("Config.Listeners is empty: give at least one, such as {Profile: envoytest.Hardened}")
	}
	names := map[string]bool{}
	listeners := make([]Listener, len(c.Listeners))
	for i, l := range c.Listeners {
		if l.Profile != Plain && l.Profile != Hardened {
			bad("Config.Listeners[%d]: profile %q is unknown: use Plain or Hardened", i, l.Profile)
		}
		if l.Name == "" {
			l.Name = string(l.Profile)
		}
		if !listenerName.MatchString(l.Name) {
			bad("Config.Listeners[%d]: the name %q is not of the form [a-z][a-z0-9_-]*", i, l.Name)
		}
		if names[l.Name] {
			bad("Config.Listeners[%d]: the name %q is taken: give each listener its own", i, l.Name)
		}
		names[l.Name] = true
		if l.Address == "" {
			l.Address = "127.0.0.1:0"
		}
		if _, _, err := splitAddr(l.Address); err != nil {
			bad("Config.Listeners[%d].Address: %w", i, err)
		}
		listeners[i] = l
	}
	c.Listeners = listeners

	if c.CheckTimeout == 0 {
		c.CheckTimeout = 200 * time.Millisecond
	}
	if c.HealthInterval == 0 {
		c.HealthInterval = time.Second
	}
	if c.UnhealthyThreshold == 0 {
		c.UnhealthyThreshold = 2
	}
	if c.CheckRetries < 0 || c.UnhealthyThreshold < 0 {
		bad("Config.CheckRetries and UnhealthyThreshold must not be negative")
	}
	if c.CheckTimeout < 0 || c.HealthInterval < 0 || c.CloseDelay < 0 {
		bad("Config.CheckTimeout, HealthInterval and CloseDelay must not be negative")
	}
	if c.AccessLog == "" {
		c.AccessLog = "/dev/stdout"
	}
	return c, errors.Join(errs...)
}

// startTimeout is StartTimeout or its default.
func (c Config) startTimeout() time.Duration {
	if c.StartTimeout > 0 {
		return c.StartTimeout
	}
	return 30 * time.Second
}

// splitAddr splits host:port where the port is a number.
func splitAddr(addr string) (host string, port int, err error) {
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not host:port", addr)
	}
	n, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("%q: the port is not a number up to 65535", addr)
	}
	return host, int(n), nil
}
