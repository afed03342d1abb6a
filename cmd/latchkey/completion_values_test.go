package main

import "testing"

// An id that ends with a zero is the first of those that begin as it does, and listed all the same.
func TestIDBefore(t *testing.T) {
	for _, tc := range []struct {
		begun, id string
		ok        bool
	}{
		{"key_e20cf68027ed882c9b12c7bc559e8a70", "key_e20cf68027ed882c9b12c7bc559e8a6f", true},
		{"key_e20cf68027ed882c9b12c7bc559e8a71", "key_e20cf68027ed882c9b12c7bc559e8a70", true},
		{"key_a", "key_9fffffffffffffffffffffffffffffff", true},
		{"key_1000", "key_0fffffffffffffffffffffffffffffff", true},
		{"key_0", "", true},
		{"key_00000000000000000000000000000000", "", true},
		{"key_x", "", false},
		{"key_-1", "", false},
		{"key_e20cf68027ed882c9b12c7bc559e8a700", "", false},
	} {
		if id, ok := idBefore(tc.begun); id != tc.id || ok != tc.ok {
			t.Errorf("%s: %q, %v; want %q, %v", tc.begun, id, ok, tc.id, tc.ok)
		}
	}
}
