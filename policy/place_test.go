package policy_test

import (
	"testing"

	"github.com/latchkey/latchkey/policy"
)

// Which environment a request was sent to: by its host, by the Envoy route,
// or left open. A question mark is an environment that can't be told.
func TestPlace(t *testing.T) {
	ps := together(t,
		// open: no host tells environments apart
		boundType+`name: "open" hosts: "open.example" environments { name: "live" } environments { name: "test" }`,
		// bound: every host does
		boundType+`name: "bound" environments { name: "live" hosts: ["api.example", "*.api.example"] } environments { name: "test" hosts: "staging.example" }`,
		// mixed: one host does, the other doesn't
		boundType+`name: "mixed" hosts: "both.example" environments { name: "live" hosts: "live.example" } environments { name: "test" }`,
		// none: there are no environments
		openType+`name: "none" hosts: "none.example"`,
	)
	unpinned := map[string]string{}
	pin := func(pairs ...string) map[string]string {
		m := map[string]string{"other": "extension", "latchkey.policies": "x", "Latchkey.Policy": "none"}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	const p, e = policy.ExtensionPolicy, policy.ExtensionEnvironment
	for _, tc := range []struct {
		says       string
		host       string
		extensions map[string]string
		want       string
	}{
		{"a host for all environments leaves it open", "open.example", unpinned, "open/"},
		{"other extensions say nothing", "open.example", pin(), "open/"},
		{"a host of an environment", "api.example", nil, "bound/live"},
		{"a wildcard of an environment", "eu.api.example", nil, "bound/live"},
		{"a host of the other environment", "staging.example", nil, "bound/test"},
		{"a policy without environments", "none.example", nil, "none/"},
		{"a mixed policy, open host", "both.example", nil, "mixed/"},
		{"a mixed policy, bound host", "live.example", nil, "mixed/live"},

		{"the Envoy route pins the environment", "open.example", pin(e, "test"), "open/test"},
		{"it wins over the host", "api.example", pin(e, "test"), "bound/test"},
		{"an environment that the policy hasn't", "open.example", pin(e, "dev"), "open/dev?"},
		{"it wins over the host even then", "api.example", pin(e, "dev"), "bound/dev?"},
		{"an environment of a policy without any", "none.example", pin(e, "live"), "none/live?"},
		{"an empty environment is no environment", "api.example", pin(e, ""), "bound/?"},
		{"an empty environment is none of an open policy either", "open.example", pin(e, ""), "open/?"},
		{"names are compared by byte", "open.example", pin(e, "Live"), "open/Live?"},
		{"no host, no policy", "other.example", pin(e, "live"), "HOST_UNKNOWN"},

		{"the Envoy route pins the policy", "other.example", pin(p, "open"), "open/"},
		{"on an empty host", "", pin(p, "open"), "open/"},
		{"it wins over the host", "none.example", pin(p, "open"), "open/"},
		{"it wins over a host of an environment: that environment is not meant", "api.example", pin(p, "open"), "open/"},
		{"the host's own policy keeps the host's environment", "staging.example", pin(p, "bound"), "bound/test"},
		{"a policy that isn't there", "open.example", pin(p, "gone"), "HOST_UNKNOWN"},
		{"a policy without a name", "open.example", pin(p, ""), "HOST_UNKNOWN"},
		{"hosts that tell the environments apart leave it unknown elsewhere", "other.example", pin(p, "bound"), "bound/?"},
		{"and on another policy's host", "open.example", pin(p, "bound"), "bound/?"},
		{"and on another policy's host of an environment", "live.example", pin(p, "bound"), "bound/?"},
		{"unless it is pinned too", "other.example", pin(p, "bound", e, "test"), "bound/test"},
		{"to one that there is", "other.example", pin(p, "bound", e, "dev"), "bound/dev?"},
		{"a mixed policy has open hosts", "other.example", pin(p, "mixed"), "mixed/"},
		{"a policy without environments has nothing to tell", "other.example", pin(p, "none"), "none/"},
		{"both pinned", "api.example", pin(p, "open", e, "live"), "open/live"},
	} {
		if got := at(ps.Find(tc.host, tc.extensions)); got != tc.want {
			t.Errorf("%s: %q with %v: got %s, want %s", tc.says, tc.host, tc.extensions, got, tc.want)
		}
	}
}
