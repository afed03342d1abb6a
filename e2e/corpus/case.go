package corpus

import "github.com/latchkey/latchkey/internal/oracle"

// Profile is a way to configure Envoy; see the package comment.
type Profile string

// The two profiles.
const (
	Plain    Profile = "plain"
	Hardened Profile = "hardened"
)

// Profiles are all profiles.
var Profiles = []Profile{Plain, Hardened}

// Case is one request to send.
type Case struct {
	Class, Name string
	Proto       string          // "h1" or "h2"
	Raw         []byte          // h1: the exact bytes to write to a new connection
	H2          []oracle.Header // h2: all headers in order, sent as one HEADERS frame with END_STREAM
	KeyID       string          // of the World, "" if the request carries no key of it

	sent     sent
	envoy    map[Profile]own // what Envoy answers by itself, where the model's rules don't tell
	pipeline bool            // more than one request follows each other on the connection
}

// own is the statuses of Envoy's own answers, 0 for a connection or stream that
// ends without one.
type own []int

// sent is the first request of a case, in the form the model understands.
type sent struct {
	method, target string
	hosts          []string        // Host headers, or the one :authority
	headers        []oracle.Header // as the server parses them, before Envoy's own rules; lower-case names
	protocol       string          // :protocol of an extended CONNECT
}

// Upstream is one request as an upstream received it: Path is its bytes
// unchanged, Host the Host header, Headers lower-case without pseudo headers
// and Host, in order, with duplicates.
type Upstream struct {
	Method, Path, Host string
	Headers            []oracle.Header
}

// Seen is what happened to a case.
type Seen struct {
	// Status is of the first final answer, 0 if the connection or stream ended
	// without one.
	Status int
	// GRPCStatus is the grpc-status header or trailer of that answer.
	GRPCStatus string
	// Reached says whether the upstream received anything.
	Reached  bool
	Upstream Upstream
	// Also is every further request that the upstream received on account of
	// this case, in order. Without it, smuggled requests go unnoticed.
	Also       []Upstream
	ConnClosed bool
}

// Cases returns all cases, the same in the same order each time, with tokens
// and ids taken from w. It needs every key name that oracle.Fixture has.
func Cases(w *oracle.World) []Case {
	b := &builder{w: w}
	for _, class := range []struct {
		name string
		add  func(*builder)
	}{
		{"matrix", matrix},
		{"path", paths},
		{"credential", credentials},
		{"keymut", keyMutations},
		{"prefix", prefixes},
		{"cross-system", crossSystem},
		{"method", methods},
		{"override", overrides},
		{"host", hostCases},
		{"absolute", absoluteForms},
		{"spoofing", spoofing},
		{"smuggling", smuggling},
		{"http2", http2Cases},
		{"grpc", grpcCases},
		{"grpc-web", grpcWebCases},
		{"websocket", websockets},
		{"tenant", tenants},
		{"admin", admin},
		{"state", states},
		{"limits", limits},
	} {
		b.class = class.name
		class.add(b)
	}
	return b.cases
}

// Pipelined reports whether more than one request follows each other on the
// connection, so that more than one answer may come.
func (c Case) Pipelined() bool { return c.pipeline }
