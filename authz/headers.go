package authz

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// headers are those of a CheckRequest in both of their forms: a map in which
// Envoy has joined a header that was sent twice, or a list
// (encode_raw_headers) in which most of them stand twice.
type headers struct {
	mapped []header // the last one of a name counts
	listed []header
	traits uint64 // of all names: what has another trait than these isn't there
}

type header struct {
	name  string
	value string
	plain bool // the name is in lower-case ASCII, as Envoy writes all of them
}

// add adds a header to one of the lists.
func (h *headers) add(to *[]header, name, value string, plain bool) {
	*to = append(*to, header{name, value, plain})
	if plain {
		h.traits |= trait(name)
	} else {
		h.traits = ^uint64(0) // it may be any name's
	}
}

// trait is one of 64 by which most plain names are told apart.
func trait(name string) uint64 {
	if name == "" {
		return 1
	}
	return 1 << ((uint(len(name)) ^ uint(name[len(name)-1])) % 64)
}

// is reports whether the header has that name, which is in lower-case ASCII.
func (h *header) is(name string) bool {
	return h.name == name || !h.plain && strings.EqualFold(h.name, name)
}

// header returns the values of a header, the first two joined by a comma, and
// how often it was sent. A header that Envoy joined counts once: its value
// holds a comma.
func (r *Request) header(name string) (value string, times int) {
	if r.headers.traits&trait(name) == 0 {
		return "", 0
	}
	for i := range r.headers.mapped {
		if h := &r.headers.mapped[i]; h.name == name {
			value, times = h.value, 1
		}
	}
	for i := range r.headers.listed {
		h := &r.headers.listed[i]
		if !h.is(name) {
			continue
		}
		switch times++; times {
		case 1:
			value = h.value
		case 2:
			start := len(r.room)
			r.room = append(append(append(r.room, value...), ','), h.value...)
			value = r.room.since(start)
		default:
			// Twice is as wrong as a thousand times, and costs less.
		}
	}
	return value, times
}

// lower returns the header's name in lower case.
func (r *Request) lower(h *header) string {
	if h.plain {
		return h.name
	}
	start := len(r.room)
	for _, c := range h.name {
		r.room = utf8.AppendRune(r.room, unicode.ToLower(c))
	}
	return r.room.since(start)
}
