package authz

import (
	"sort"
	"strings"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/policy"
)

// identityPrefix begins every header that tells an upstream who is asking.
const identityPrefix = "x-latchkey-"

// factNames are the facts about a request, as they stand in headers (after
// the prefix) and, with _ for -, in dynamic metadata. On an allowing answer
// each header is set or removed, so that a client can't speak for us.
var factNames = []string{"endpoint", "environment", "key-id", "policy", "principal", "role", "scopes", "tenant", "tenants", "type"}

// facts returns what the verdict knows, by name. What it doesn't know is
// absent.
func (v *Verdict) facts() map[string]string {
	f := map[string]string{}
	put := func(name, value string) {
		if value != "" {
			f[name] = value
		}
	}
	if v.Place.Policy != nil {
		put("policy", v.Place.Policy.Name())
	}
	if e := v.Endpoint(); e != nil {
		put("endpoint", e.Name)
	}
	if v.Key == nil {
		return f
	}
	put("key-id", v.Key.ID.String())
	put("type", v.Key.Type)
	put("environment", v.Key.Environment)
	put("principal", v.Key.Principal)
	put("role", v.Key.Role)
	put("tenant", v.Tenant)
	put("tenants", strings.Join(v.Tenants, ","))
	put("scopes", strings.Join(v.Place.Policy.ScopeNames(v.Held.Scopes), " "))
	return f
}

// upstream says which headers an allowed request gets and loses. No header
// is in both: Envoy removes after it sets.
func (v *Verdict) upstream(r *Request, facts map[string]string) (set []policy.Header, remove []string) {
	if v.Key == nil {
		facts = nil // public: nobody was asked who they are, so nothing is said
	}
	gone := map[string]bool{}
	for _, name := range factNames {
		header := identityPrefix + name
		if value, ok := facts[name]; ok {
			set = append(set, policy.Header{Name: header, Value: value})
		} else {
			gone[header] = true
		}
	}
	for _, place := range v.Place.Policy.TenantPlaces() {
		if place.In != policy.InHeader {
			continue
		}
		// The header is set or removed whether we saw it or not: Envoy may have
		// hidden it from us and still pass it on.
		if v.Tenant != "" && directory.Kind(v.Tenant) == place.Kind {
			set = append(set, policy.Header{Name: place.Name, Value: directory.Name(v.Tenant)})
		} else {
			gone[place.Name] = true
		}
	}
	for _, place := range v.Place.Policy.Credentials() {
		if r.mayCarryCredential(place) {
			gone[place.Header] = true
		}
	}
	r.headers.names(func(name string) {
		if speaksForUs(name) && facts[strings.TrimPrefix(name, identityPrefix)] == "" {
			gone[name] = true
		}
	})
	for name := range gone {
		remove = append(remove, name)
	}
	sort.Strings(remove)
	return set, remove
}

// speaksForUs reports whether a server could take the header for one of
// ours: many read - and _ alike.
func speaksForUs(name string) bool {
	return strings.HasPrefix(strings.ReplaceAll(name, "_", "-"), identityPrefix)
}
