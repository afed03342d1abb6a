package authz

import (
	"crypto/rand"
	"encoding/hex"
	"strings"

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

	shown string // the path as Envoy renders it, with the query
	raw   string // the raw :path, which holds the client's bytes
	raws  int    // how often that is there
	id    string // see requestID
	token string // see credential
	room  room
}

// pathHeader is where the raw path stands in the list of headers.
const pathHeader = ":path"

// list adds an entry of the list of headers.
func (r *Request) list(name, value, raw string) {
	if raw != "" {
		value = raw
		if name == pathHeader {
			r.raw = raw
			r.raws++
		}
	}
	r.headers.add(&r.headers.listed, name, value, isPlain(name))
}

// line makes path and query of what was read. Anything may be absent: what
// isn't there is empty, and what is empty is refused later.
func (r *Request) line() {
	whole := r.shown
	// With encode_raw_headers :path holds the client's bytes, while path shows
	// '!' for each byte that isn't UTF-8.
	if r.raws > 0 {
		r.torn = r.raws > 1 || !renders(whole, r.raw)
		r.verbatim = true
		whole = r.raw
	}
	r.path, r.query, _ = strings.Cut(whole, "?")
}

// mostExtensions bounds the map that an empty request keeps.
const mostExtensions = 16

// reset empties the request and keeps its memory.
func (r *Request) reset() {
	if len(r.extensions) > mostExtensions {
		r.extensions = nil
	}
	clear(r.extensions)
	*r = Request{
		extensions: r.extensions,
		headers:    headers{mapped: r.headers.mapped[:0], listed: r.headers.listed[:0]},
		room:       r.room[:0],
	}
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
// x-request-id where it can be repeated safely, else one that is made up when
// it is first asked for.
func (r *Request) requestID() string {
	if r.id != "" {
		return r.id
	}
	id := r.givenID()
	if id == "" {
		start := len(r.room)
		r.room = append(r.room, make([]byte, 16)...)
		fresh := r.room[start:]
		_, _ = rand.Read(fresh) // never fails: crypto/rand ends the process first
		r.room = hex.AppendEncode(r.room, fresh)
		id = r.room.since(start + len(fresh))
	}
	r.id = id
	return id
}

// givenID is x-request-id where it can be repeated safely, else empty.
func (r *Request) givenID() string {
	id, times := r.header("x-request-id")
	if times != 1 || !validRequestID(id) {
		return ""
	}
	return id
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
	origin, origins := r.header("origin")
	method, methods := r.header("access-control-request-method")
	return method, origins == 1 && origin != "" && methods == 1 && method != ""
}
