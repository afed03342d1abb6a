package envoyconf

import (
	"regexp"
	"slices"
	"strings"

	"github.com/latchkey/latchkey/policy"
)

// IdentityPrefix begins the names of the headers by which Latchkey tells an upstream who is asking.
const IdentityPrefix = "x-latchkey-"

// requestHeaders are read of every request, whatever the policies say: by which endpoint it is, and by which id the client and
// the logs know it.
var requestHeaders = []string{":method", ":authority", ":path", "x-request-id"}

// preflightHeaders make an OPTIONS request a CORS preflight.
var preflightHeaders = []string{"origin", "access-control-request-method"}

// Reads is which headers of a request policies read. Names are in lower case, sorted, each once.
type Reads struct {
	// Credentials are where a key may be presented: they are removed from requests that pass.
	Credentials []string
	// Tenants are where a tenant may be named: they are set to the verified one, or removed.
	Tenants []string
	// Preflight is whether CORS preflights pass without a key.
	Preflight bool
}

// ReadsOf returns what any of the policies reads.
func ReadsOf(policies ...*policy.Policy) Reads {
	var r Reads
	for _, p := range policies {
		r = r.With(Reads{p.CredentialHeaders(), p.TenantHeaders(), p.Preflights()})
	}
	return r
}

// With returns what either of the two reads.
func (r Reads) With(o Reads) Reads {
	return Reads{sorted(r.Credentials, o.Credentials), sorted(r.Tenants, o.Tenants), r.Preflight || o.Preflight}
}

func sorted(a, b []string) []string {
	names := slices.Concat(a, b)
	slices.Sort(names)
	return slices.Compact(names)
}

// Headers returns all that Envoy must show to Latchkey, but for the identity headers, which are known by their prefix.
func (r Reads) Headers() []string {
	all := slices.Concat(requestHeaders, r.Credentials, r.Tenants)
	if r.Preflight {
		all = append(all, preflightHeaders...)
	}
	return all
}

// Mutable returns the names of the headers that Latchkey sets or removes, as a regular expression that a whole name must match.
func (r Reads) Mutable() string {
	names := slices.Concat(r.Credentials, []string{IdentityPrefix + ".*"}, r.Tenants)
	for i, name := range names {
		if name != IdentityPrefix+".*" {
			names[i] = regexp.QuoteMeta(name)
		}
	}
	return "^(" + strings.Join(names, "|") + ")$"
}
