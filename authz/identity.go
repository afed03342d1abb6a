package authz

import (
	"slices"
	"strings"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/policy"
)

// identityPrefix begins every header that tells an upstream who is asking.
const identityPrefix = "x-latchkey-"

// The facts about a request, in the byte order of their names.
const (
	factEndpoint = iota
	factEnvironment
	factKeyID
	factPolicy
	factPrincipal
	factRole
	factScopes
	factTenant
	factTenants
	factType
	factCount
)

// factNames are the facts as they stand in headers (after the prefix) and,
// with _ for -, in dynamic metadata. On an allowing answer each header is set
// or removed, so that a client can't speak for us.
var factNames = [factCount]string{
	factEndpoint: "endpoint", factEnvironment: "environment", factKeyID: "key-id", factPolicy: "policy", factPrincipal: "principal",
	factRole: "role", factScopes: "scopes", factTenant: "tenant", factTenants: "tenants", factType: "type",
}

// factHeaders are the names of the headers.
var factHeaders = func() (names [factCount]string) {
	for i, name := range factNames {
		names[i] = identityPrefix + name
	}
	return names
}()

// facts are what a verdict knows. What it doesn't know is empty.
type facts [factCount]string

// nothing is told of nobody. It is read only.
var nothing facts

// facts fills in what the verdict knows.
func (v *Verdict) facts(f *facts, r *Request) {
	*f = facts{}
	if v.Place.Policy != nil {
		f[factPolicy] = v.Place.Policy.Name()
	}
	if e := v.Endpoint(); e != nil {
		f[factEndpoint] = e.Name
	}
	if v.Key == nil {
		return
	}
	start := len(r.room)
	r.room = v.Key.ID.Append(r.room)
	f[factKeyID] = r.room.since(start)
	f[factType] = v.Key.Type
	f[factEnvironment] = v.Key.Environment
	f[factPrincipal] = v.Key.Principal
	f[factRole] = v.Key.Role
	f[factTenant] = v.Tenant
	f[factTenants] = r.join(v.Tenants, ',')
	start = len(r.room)
	r.room = v.Place.Policy.AppendScopeNames(r.room, v.Held.Scopes)
	f[factScopes] = r.room.since(start)
}

// told returns the facts that are known, by name, as copies: a log may keep them.
func (f *facts) told() map[string]string {
	told := map[string]string{}
	for i, value := range f {
		if value != "" {
			told[factNames[i]] = strings.Clone(value)
		}
	}
	return told
}

// join puts a list into one text.
func (r *Request) join(list []string, separator byte) string {
	start := len(r.room)
	for i, text := range list {
		if i > 0 {
			r.room = append(r.room, separator)
		}
		r.room = append(r.room, text...)
	}
	return r.room.since(start)
}

// upstream says which headers an allowed request gets and loses. No header
// is in both: Envoy removes after it sets.
func (a *answer) upstream(v *Verdict, r *Request) {
	told := &a.facts
	if v.Key == nil {
		told = &nothing // public: nobody was asked who they are, so nothing is said
	}
	for _, place := range v.Place.Policy.Credentials() {
		if r.mayCarryCredential(place) {
			a.remove = append(a.remove, place.Header)
		}
	}
	for i, header := range factHeaders {
		if told[i] != "" {
			a.headers = append(a.headers, policy.Header{Name: header, Value: told[i]})
		} else {
			a.remove = append(a.remove, header)
		}
	}
	for _, place := range v.Place.Policy.TenantPlaces() {
		if place.In != policy.InHeader {
			continue
		}
		// The header is set or removed whether we saw it or not: Envoy may have
		// hidden it from us and still pass it on.
		if v.Tenant != "" && directory.Kind(v.Tenant) == place.Kind {
			a.headers = append(a.headers, policy.Header{Name: place.Name, Value: directory.Name(v.Tenant)})
		} else {
			a.remove = append(a.remove, place.Name)
		}
	}
	a.spoofed(r, r.headers.mapped, told)
	a.spoofed(r, r.headers.listed, told)
	slices.Sort(a.remove)
	a.remove = slices.Compact(a.remove)
}

// spoofed removes the client's headers that speak for us, unless ours
// overwrite them.
func (a *answer) spoofed(r *Request, sent []header, told *facts) {
next:
	for i := range sent {
		h := &sent[i]
		if h.plain && !speaksForUs(h.name) {
			continue
		}
		name := r.lower(h)
		if !speaksForUs(name) {
			continue
		}
		for i, ours := range factHeaders {
			if name == ours && told[i] != "" {
				continue next
			}
		}
		a.remove = append(a.remove, name)
	}
}

// speaksForUs reports whether a server could take the header for one of
// ours: many read - and _ alike.
func speaksForUs(name string) bool {
	return len(name) >= len(identityPrefix) && name[0] == identityPrefix[0] && prefixed(name)
}

func prefixed(name string) bool {
	for i := range len(identityPrefix) {
		if c := name[i]; c != identityPrefix[i] && (c != '_' || identityPrefix[i] != '-') {
			return false
		}
	}
	return true
}
