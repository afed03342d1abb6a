package oracle

import (
	"strings"
)

// IdentityHeaders are the headers that tell the upstream who is calling. On
// every allowing answer each is either set or removed.
var IdentityHeaders = []string{
	"x-latchkey-key-id", "x-latchkey-policy", "x-latchkey-type", "x-latchkey-tenant", "x-latchkey-tenants",
	"x-latchkey-principal", "x-latchkey-environment", "x-latchkey-scopes", "x-latchkey-role", "x-latchkey-endpoint",
}

// Unfixed are the identity headers whose values no document fixes: the names
// of endpoints are up to the policy file, and so are those of scopes except for
// cuneiform, whose document names them. A test can only ask of these that they
// appear at most once and hold nothing that the client sent.
func Unfixed(policy string) []string {
	if policy == "cuneiform" {
		return []string{"x-latchkey-endpoint"}
	}
	return []string{"x-latchkey-endpoint", "x-latchkey-scopes"}
}

// TenantHeader is the header that names a tenant in a policy, "" for none.
func TenantHeader(policy string) string { return tenantHeaders[policy].name }

// allow lists what is set for the upstream and what is removed.
//
// Choice: a tenant header is set to the same tenant that x-latchkey-tenant
// tells, also when the request named none.
func (w *World) allow(k Key, t tenancy, r Request) Decision {
	d := Decision{Allow: true, Status: 200, Reason: "ALLOWED", Identity: map[string]string{}, TenantHeaders: map[string]string{}}
	set := func(name, value string) {
		if value != "" {
			d.Identity["x-latchkey-"+name] = value
		}
	}
	set("key-id", k.ID)
	set("policy", k.Policy)
	set("type", k.Type)
	set("tenant", t.one)
	set("tenants", strings.Join(t.several, ","))
	set("environment", k.Environment)
	set("role", k.Role)
	if k.isUserKey() {
		set("principal", k.Principal)
	}
	if k.Policy == "cuneiform" {
		set("scopes", strings.Join(w.cuneiformHolds(k), " "))
	}

	d.Remove = append(d.Remove, "authorization")
	for _, name := range IdentityHeaders {
		if d.Identity[name] == "" && !contains(Unfixed(k.Policy), name) {
			d.Remove = append(d.Remove, name)
		}
	}
	for _, h := range r.Headers {
		if (strings.HasPrefix(h.Name, "x-latchkey-") && !contains(IdentityHeaders, h.Name)) || strings.HasPrefix(h.Name, "x_latchkey_") {
			if !contains(d.Remove, h.Name) {
				d.Remove = append(d.Remove, h.Name)
			}
		}
	}
	if name := TenantHeader(k.Policy); name != "" {
		if t.one != "" {
			_, id, _ := strings.Cut(t.one, ":")
			d.TenantHeaders[name] = id
		} else {
			d.Remove = append(d.Remove, name)
		}
	}
	return d
}
