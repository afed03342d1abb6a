package decisionlog

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/latchkey/latchkey/authz"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
)

// appendLine appends an observation as a line of JSON. What isn't known is left
// out. Names are those of policy, store and directory; nothing is the client's
// but what method and requestID let through.
func appendLine(b []byte, o *authz.Observation) []byte {
	v := o.Verdict
	b = append(b, `{"time":"`...)
	b = o.At.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z")
	b = append(b, '"')
	if v.Reason.Allows() {
		b = append(b, `,"decision":"allow"`...)
	} else {
		b = append(b, `,"decision":"deny"`...)
	}
	b = appendNumber(b, "status", int64(o.Status))
	b = appendText(b, "reason", v.Reason.String())
	p := v.Place.Policy
	if p != nil {
		b = appendText(b, "policy", p.Name())
		b = appendText(b, "environment", environment(p, v))
	}
	if v.Key != nil {
		b = appendName(b, "key_id")
		start := len(b)
		b = quote(v.Key.ID.Append(append(b, '"')), start)
		b = appendText(b, "key_type", v.Type.Name)
		b = appendText(b, "principal", v.Key.Principal)
		b = appendText(b, "role", v.Key.Role)
	}
	b = appendText(b, "tenant", v.Tenant)
	b = appendText(b, "method", method(o))
	if v.Route != nil {
		b = appendText(b, "endpoint", v.Route.Endpoint.Name)
		b = appendText(b, "route", v.Route.Text)
	}
	switch v.Reason {
	case policy.ScopeMissing:
		required := v.Route.Endpoint.Scopes
		b = appendNames(b, "required_scopes", p.AppendScopeNames, required)
		b = appendNames(b, "missing_scopes", p.AppendScopeNames, required.Minus(v.Held.Scopes))
	case policy.PermissionMissing:
		required := v.Route.Endpoint.Permissions
		b = appendNames(b, "required_permissions", p.AppendPermissionNames, required)
		b = appendNames(b, "missing_permissions", p.AppendPermissionNames, required.Minus(v.Held.Permissions))
	}
	b = appendText(b, "request_id", requestID(o.RequestID()))
	b = append(b, `,"revision":`...)
	b = strconv.AppendUint(b, v.Revision, 10)
	b = appendNumber(b, "took_us", o.Took.Microseconds())
	return append(b, "}\n"...)
}

// environment is that of the key, or of the place that the request was sent to,
// by a name of the policy's own: an Envoy route may have named any.
func environment(p *policy.Policy, v *authz.Verdict) string {
	name := v.Place.Environment
	if v.Key != nil {
		name = v.Key.Environment
	}
	if e := p.Environment(name); e != nil {
		return e.Name
	}
	return ""
}

// method is that of the request where the standards or the policy know it:
// anything may stand in place of one.
func method(o *authz.Observation) string {
	m := o.Method()
	switch m {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE":
		return m
	}
	if o.Verdict.Route != nil {
		return m // a route matches only methods that it names
	}
	return "other"
}

// requestID is an id that can't be a token that a client has put in the wrong
// place: it is shorter than the secret of any token, or is made of hexadecimal
// digits and hyphens alone, as Envoy's are and those of traces.
func requestID(id string) string {
	if len(id) < key.MinImportLength {
		return id
	}
	for i := range len(id) {
		if c := id[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') && c != '-' {
			return ""
		}
	}
	return id
}

// appendText appends a member, unless its value is empty.
func appendText(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = appendName(b, name)
	start := len(b)
	return quote(append(append(b, '"'), value...), start)
}

// appendNames appends a member whose value are the names in a set, with a space
// between each two.
func appendNames(b []byte, name string, list func([]byte, policy.Set) []byte, set policy.Set) []byte {
	b = appendName(b, name)
	start := len(b)
	return quote(list(append(b, '"'), set), start)
}

// quote ends the string whose quotation mark stands at start. Almost no text
// holds what has to be escaped, and of what does only that costs an allocation.
func quote(b []byte, start int) []byte {
	text := b[start+1:]
	for _, c := range text {
		if c < ' ' || c == '"' || c == '\\' {
			return escape(b, start)
		}
	}
	if !utf8.Valid(text) {
		return escape(b, start)
	}
	return append(b, '"')
}

func escape(b []byte, start int) []byte {
	quoted, err := json.Marshal(string(b[start+1:]))
	if err != nil { // no text is refused
		quoted = []byte(`""`)
	}
	return append(b[:start], quoted...)
}

func appendNumber(b []byte, name string, value int64) []byte {
	return strconv.AppendInt(appendName(b, name), value, 10)
}

func appendName(b []byte, name string) []byte {
	b = append(b, `,"`...)
	b = append(b, name...)
	return append(b, `":`...)
}
