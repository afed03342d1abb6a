package envoytest

import (
	"strings"
	"sync"
)

// CaseHeader names a request, so that what reached the upstream, and what Envoy
// logged, can be found again among many that are sent in parallel.
const CaseHeader = "x-case"

// Field is one header field, as it was on the wire or as it is to be put there.
type Field struct{ Name, Value string }

// Record is one request as it reached the upstream.
type Record struct {
	Protocol string // "HTTP/1.1", as in the request line, or "gRPC"
	Line     string // HTTP/1: the request line, byte for byte, without CRLF
	Method   string
	Path     string // the request target, byte for byte, query included
	Host     string // of the Host header or :authority
	// Header holds all fields in the order they came, names and values as they were.
	// A gRPC request's fields are sorted by name: the server does not keep their order.
	Header []Field
	// BodyBytes is the length of the body after transfer encoding is undone; of a gRPC
	// call, the length of all its messages.
	BodyBytes int64
	// Body holds at most the first 64 KiB of it.
	Body []byte
}

// maxBodyKept bounds Record.Body.
const maxBodyKept = 64 << 10

// Values returns the values of all fields of a name, whatever its case.
func (r Record) Values(name string) []string {
	var values []string
	for _, f := range r.Header {
		if strings.EqualFold(f.Name, name) {
			values = append(values, f.Value)
		}
	}
	return values
}

// Get returns the value of the first field of a name, and whether there is one.
func (r Record) Get(name string) (value string, ok bool) {
	if v := r.Values(name); len(v) > 0 {
		return v[0], true
	}
	return "", false
}

func (r *Record) keepBody(b []byte) {
	r.BodyBytes += int64(len(b))
	if room := maxBodyKept - len(r.Body); room > 0 {
		r.Body = append(r.Body, b[:min(room, len(b))]...)
	}
}

// maxRecords bounds the records that nobody takes: a demo may run for weeks.
const maxRecords = 1 << 14

// records keeps what arrived by case until it is taken. Safe for concurrent use.
type records struct {
	mu     sync.Mutex
	byCase map[string][]Record
	kept   int
	total  uint64
}

func (s *records) add(r Record) {
	id, _ := r.Get(CaseHeader)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byCase == nil || s.kept >= maxRecords {
		// Nobody is taking them, or a test has long given up on these.
		s.byCase, s.kept = map[string][]Record{}, 0
	}
	s.byCase[id] = append(s.byCase[id], r)
	s.kept++
	s.total++
}

func (s *records) take(id string) []Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.byCase[id]
	delete(s.byCase, id)
	s.kept -= len(found)
	return found
}

func (s *records) count() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}
