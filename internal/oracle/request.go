package oracle

import "strings"

// Header is one header line. Name is in lower case.
type Header struct{ Name, Value string }

// Request is what Envoy tells about a request in a CheckRequest.
type Request struct {
	Method, Host string
	// Path holds the query too; every byte that is not UTF-8 appears as '!'.
	Path string
	// RawPath is the raw :path, when raw headers are sent.
	RawPath *string
	// Headers has no pseudo headers; order and duplicates are kept.
	Headers []Header
	// Extensions are the context_extensions of the Envoy route.
	Extensions map[string]string
}

// values are all values of a header, in order.
func (r Request) values(name string) []string {
	var vs []string
	for _, h := range r.Headers {
		if h.Name == name {
			vs = append(vs, h.Value)
		}
	}
	return vs
}

// joined is the header as one value: a header sent twice equals one value
// joined by a comma, because that is what Envoy makes of Authorization anyway.
func (r Request) joined(name string) string {
	return strings.Join(r.values(name), ",")
}
