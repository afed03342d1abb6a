package corpus

import (
	"fmt"
	"strings"

	"github.com/latchkey/latchkey/internal/oracle"
)

// identity compares who the upstream was told is calling with what the oracle
// says.
func identity(p Profile, c Case, up Upstream, d oracle.Decision) error {
	got := map[string][]string{}
	for _, h := range up.Headers {
		got[h.Name] = append(got[h.Name], h.Value)
	}
	if len(got["authorization"]) > 0 {
		return fmt.Errorf("the credential reached the upstream")
	}
	policy := d.Identity["x-latchkey-policy"]
	for _, name := range oracle.IdentityHeaders {
		var err error
		if contains(oracle.Unfixed(policy), name) {
			err = unspoofed(name, got[name], c)
		} else {
			err = exactly(name, got[name], d.Identity[name])
		}
		if err != nil {
			return err
		}
	}
	if len(got["x-latchkey-endpoint"]) != 1 {
		return fmt.Errorf("the upstream was told of %d endpoints", len(got["x-latchkey-endpoint"]))
	}
	for name := range got {
		if contains(oracle.IdentityHeaders, name) {
			continue
		}
		if strings.HasPrefix(name, "x_latchkey_") {
			return fmt.Errorf("%s reached the upstream", name)
		}
		// The hardened profile hides headers that nobody declared, so that no
		// check can remove them.
		if strings.HasPrefix(name, "x-latchkey-") && p == Plain {
			return fmt.Errorf("%s reached the upstream", name)
		}
	}
	if name := oracle.TenantHeader(policy); name != "" {
		return exactly(name, got[name], d.TenantHeaders[name])
	}
	return nil
}

// exactly: one header with the value, or none for "".
func exactly(name string, got []string, want string) error {
	switch {
	case want == "" && len(got) == 0, len(got) == 1 && want != "" && got[0] == want:
		return nil
	}
	return fmt.Errorf("%s is %q, the oracle says %q", name, got, want)
}

// unspoofed: at most one header, and none of the client's values.
func unspoofed(name string, got []string, c Case) error {
	if len(got) > 1 {
		return fmt.Errorf("%s is there %d times", name, len(got))
	}
	for _, h := range c.sent.headers {
		if h.Name == name && h.Value != "" && len(got) == 1 && strings.Contains(got[0], h.Value) {
			return fmt.Errorf("%s holds %q, which the client sent", name, h.Value)
		}
	}
	return nil
}
