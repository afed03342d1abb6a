package authz

import (
	"strings"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/policy"
)

// maxTenantsHeader is the longest list of tenants that is handed to an
// upstream, in bytes. A request whose key reaches more must name one.
const maxTenantsHeader = 4 << 10

// naming is what a request says about the tenant it is for.
type naming struct {
	tenant string // kind:name; empty when no place is filled
	torn   bool   // places disagree, or one names nothing that could be a tenant
}

// naming reads every place where the policy says that a tenant may be named.
func (r *Request) naming(p *policy.Policy, route *policy.Route) naming {
	var n naming
	for _, place := range p.TenantPlaces() {
		var name string
		filled, ok := false, true
		switch place.In {
		case policy.InHeader:
			name, filled, ok = r.headerName(place.Name)
		case policy.InPath:
			name, filled = route.Param(r.path, place.Name)
		case policy.InQuery:
			name, filled, ok = r.queryName(place.Name)
		}
		if !filled {
			continue
		}
		id := r.tenant(place.Kind, name)
		if !ok || !directory.ValidName(name) || n.tenant != "" && n.tenant != id {
			n.torn = true
			continue
		}
		n.tenant = id
	}
	return n
}

// headerName reads a tenant from a header. Sent twice, or with a comma, it
// names none; empty, it isn't filled.
func (r *Request) headerName(header string) (name string, filled, ok bool) {
	value, times := r.header(header)
	if times == 0 || times == 1 && value == "" {
		return "", false, true
	}
	return value, true, times == 1 // a comma is in no name
}

// tenant returns the id of a tenant, kind:name.
func (r *Request) tenant(kind, name string) string {
	start := len(r.room)
	r.room = append(append(append(r.room, kind...), ':'), name...)
	return r.room.since(start)
}

// queryName reads a tenant from a query parameter. Names are compared
// decoded, so that no spelling that a server would take for the parameter is
// overlooked, and a value must be plain: a name needs no escapes. Some servers
// split at semicolons too: what only they would see is refused.
func (r *Request) queryName(parameter string) (name string, filled, ok bool) {
	times, semicolons := 0, false
	for rest := r.query; rest != ""; {
		pair := rest
		if end := strings.IndexAny(rest, "&;"); end >= 0 {
			semicolons = semicolons || rest[end] == ';'
			pair, rest = rest[:end], rest[end+1:]
		} else {
			rest = ""
		}
		field, value, _ := strings.Cut(pair, "=")
		if r.unescape(field) != parameter {
			continue
		}
		times++
		name = value
	}
	switch {
	case times == 0, times == 1 && name == "":
		return "", false, true
	}
	return name, true, times == 1 && !semicolons
}

// unescape decodes a query component as a form does. An escape that isn't one
// stays as it is.
func (r *Request) unescape(component string) string {
	if !strings.ContainsAny(component, "%+") {
		return component
	}
	start := len(r.room)
	for i := 0; i < len(component); i++ {
		c := component[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(component):
			if high, low := unhex(component[i+1]), unhex(component[i+2]); high >= 0 && low >= 0 {
				c = byte(high<<4 | low)
				i += 2
			}
		}
		r.room = append(r.room, c)
	}
	return r.room.since(start)
}

// unhex returns the value of a hexadecimal digit, or less than 0.
func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
