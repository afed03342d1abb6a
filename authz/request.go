package authz

import (
	"crypto/rand"
	"encoding/hex"
	"strings"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/latchkey/latchkey/policy"
)

// Request is what a decision reads of a CheckRequest. Every field comes from
// the client but for the extensions, which come from the Envoy route.
type Request struct {
	method     string
	host       string
	path       string // without the query
	query      string // without the question mark
	verbatim   policy.Verbatim
	torn       bool // the two renderings of the path contradict each other
	headers    headers
	extensions map[string]string
}

// newRequest reads the attributes. Anything may be absent: what isn't there
// is empty, and what is empty is refused later.
func newRequest(check *authv3.CheckRequest) *Request {
	http := check.GetAttributes().GetRequest().GetHttp()
	r := &Request{
		method:     http.GetMethod(),
		host:       http.GetHost(),
		headers:    headers{http},
		extensions: check.GetAttributes().GetContextExtensions(),
	}
	whole := http.GetPath()
	// With encode_raw_headers :path holds the client's bytes, while path shows
	// '!' for each byte that isn't UTF-8.
	if raw, times := rawPath(http); times > 0 {
		r.torn = times > 1 || !renders(whole, raw)
		r.verbatim = true
		whole = raw
	}
	r.path, r.query, _ = strings.Cut(whole, "?")
	return r
}

// rawPath returns the raw :path, and how often it is there.
func rawPath(http *authv3.AttributeContext_HttpRequest) (raw string, times int) {
	for _, entry := range http.GetHeaderMap().GetHeaders() {
		if entry.GetKey() == ":path" && len(entry.GetRawValue()) > 0 {
			raw = string(entry.GetRawValue())
			times++
		}
	}
	return raw, times
}

// renders reports whether the text is Envoy's rendering of the raw bytes.
func renders(text, raw string) bool {
	if len(text) != len(raw) {
		return false
	}
	for i := range len(text) {
		if text[i] != raw[i] && (text[i] != '!' || raw[i] < 0x80) {
			return false
		}
	}
	return true
}

// requestID returns the id by which the client and the logs know the request:
// x-request-id where it can be repeated safely, else a fresh one.
func (r *Request) requestID() string {
	id, times := r.headers.get("x-request-id")
	if times == 1 && validRequestID(id) {
		return id
	}
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process first
	return hex.EncodeToString(b[:])
}

func validRequestID(id string) bool {
	for i := range len(id) {
		c := id[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return id != "" && len(id) <= 64
}

// preflight returns the method that a CORS preflight asks about (Fetch
// standard: OPTIONS with Origin and Access-Control-Request-Method).
func (r *Request) preflight() (method string, ok bool) {
	if r.method != "OPTIONS" {
		return "", false
	}
	origin, origins := r.headers.get("origin")
	method, methods := r.headers.get("access-control-request-method")
	return method, origins == 1 && origin != "" && methods == 1 && method != ""
}
