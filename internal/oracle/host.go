package oracle

import "strings"

const (
	extPolicy      = "latchkey.policy"
	extEnvironment = "latchkey.environment"
)

// environments of the four policies; spotzee has none.
var environments = map[string][]string{
	"kodey":     {"live"},
	"cuneiform": {"live", "test"},
	"spotzee":   nil,
	"shortkit":  {"live", "test"},
}

// policyOf says which policy a request belongs to, "" for none. What the Envoy
// route pins wins over the host.
//
// Choice: an empty latchkey.policy is one that names no policy.
func policyOf(r Request) string {
	if name, pinned := r.Extensions[extPolicy]; pinned {
		if _, ok := environments[name]; ok {
			return name
		}
		return ""
	}
	switch bareHost(r.Host) {
	case "api.kodey.example":
		return "kodey"
	case "api.cuneiform.example":
		return "cuneiform"
	case "apix.spotzee.com":
		return "spotzee"
	case "api.shortkit.dev", "api.staging.shortkit.dev":
		return "shortkit"
	}
	return ""
}

// bareHost is the host in lower case without one port; nothing else is
// repaired.
//
// Choice: a port is one to five digits. Lower-casing is for A to Z only: the
// Kelvin sign is no k.
func bareHost(host string) string {
	host = lowerASCII(host)
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		if port := host[i+1:]; len(port) >= 1 && len(port) <= 5 && onlyBytes(port, digits) {
			host = host[:i]
		}
	}
	return host
}

// environmentFits says whether a key of the environment may be used on this
// request's endpoint.
func environmentFits(policy, keyEnvironment string, r Request) bool {
	if pinned, ok := r.Extensions[extEnvironment]; ok {
		return contains(environments[policy], pinned) && keyEnvironment == pinned
	}
	if policy == "shortkit" {
		return keyEnvironment == shortkitEnvironment(r)
	}
	return true // open: the upstream is told
}

// shortkitEnvironment is the environment of a shortkit endpoint, "" for none.
//
// Choice: a route that pins the policy for a host that is neither of the two,
// without pinning the environment, has none, and so no key fits.
func shortkitEnvironment(r Request) string {
	if pinned, ok := r.Extensions[extEnvironment]; ok {
		return pinned
	}
	switch bareHost(r.Host) {
	case "api.shortkit.dev":
		return "live"
	case "api.staging.shortkit.dev":
		return "test"
	}
	return ""
}
