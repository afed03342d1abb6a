package authz

import "testing"

// TestKeysOfAnotherOwner: a type may be given to another kind of owner while
// keys of its old owners live. They are nobody's then, and don't open what the
// new owners' keys open.
func TestKeysOfAnotherOwner(t *testing.T) {
	for _, c := range []struct{ name, tenant, principal string }{
		{"another kind of tenant", "org:o_1", ""},
		{"a principal", "", "user:ada"},
	} {
		w := newWorld(t)
		w.keys["key_full"].Tenant, w.keys["key_full"].Principal = c.tenant, c.principal
		got := w.check(t, envoy(mapped, "GET", "/things", bearer("key_full")))
		if got.allowed || got.reason != "KEY_UNKNOWN" || got.metadata["key_id"] != nil || got.metadata["type"] != nil {
			t.Errorf("%s: %s, metadata %v", c.name, got.reason, got.metadata)
		}
	}
}
