package authz

import (
	"encoding/hex"
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
			name, filled, ok = queryName(r.query, place.Name)
		}
		if !filled {
			continue
		}
		id := place.Kind + ":" + name
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
	value, times := r.headers.get(header)
	if times == 0 || times == 1 && value == "" {
		return "", false, true
	}
	return value, true, times == 1 // a comma is in no name
}

// queryName reads a tenant from a query parameter. Names are compared
// decoded, so that no spelling that a server would take for the parameter is
// overlooked, and a value must be plain: a name needs no escapes. Some servers
// split at semicolons too: what only they would see is refused.
func queryName(query, parameter string) (name string, filled, ok bool) {
	times := 0
	for pair := range strings.FieldsFuncSeq(query, func(c rune) bool { return c == '&' || c == ';' }) {
		field, value, _ := strings.Cut(pair, "=")
		if unescape(field) != parameter {
			continue
		}
		times++
		name = value
	}
	switch {
	case times == 0, times == 1 && name == "":
		return "", false, true
	}
	return name, true, times == 1 && !strings.Contains(query, ";")
}

// unescape decodes a query component as a form does. An escape that isn't one
// stays as it is.
func unescape(text string) string {
	if !strings.ContainsAny(text, "%+") {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '+':
			b.WriteByte(' ')
		case text[i] == '%' && i+2 < len(text):
			raw, err := hex.DecodeString(text[i+1 : i+3])
			if err != nil {
				b.WriteByte('%')
				continue
			}
			b.Write(raw)
			i += 2
		default:
			b.WriteByte(text[i])
		}
	}
	return b.String()
}
