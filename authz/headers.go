package authz

import (
	"strings"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
)

// headers reads the headers of a CheckRequest in both of their forms: a map
// in which Envoy has joined a header that was sent twice, or a list
// (encode_raw_headers) in which most of them stand twice.
type headers struct {
	http *authv3.AttributeContext_HttpRequest
}

// get returns the values of a header, the first two joined by a comma, and how
// often it was sent. A header that Envoy joined counts once: its value holds a comma.
func (h headers) get(name string) (value string, times int) {
	if v, ok := h.http.GetHeaders()[name]; ok {
		value, times = v, 1
	}
	for _, entry := range h.http.GetHeaderMap().GetHeaders() {
		if !strings.EqualFold(entry.GetKey(), name) {
			continue
		}
		v := string(entry.GetRawValue())
		if v == "" {
			v = entry.GetValue()
		}
		switch times++; times {
		case 1:
			value = v
		case 2:
			value += "," + v
		default:
			// Twice is as wrong as a thousand times, and costs less.
		}
	}
	return value, times
}

// names calls f with the name of every header, in lower case. One that was
// sent twice may come twice.
func (h headers) names(f func(name string)) {
	for name := range h.http.GetHeaders() {
		f(strings.ToLower(name))
	}
	for _, entry := range h.http.GetHeaderMap().GetHeaders() {
		f(strings.ToLower(entry.GetKey()))
	}
}
