package authz

import (
	"strings"
	"testing"
)

// TestRequestIDs: an id is repeated where that is safe, and made up otherwise.
func TestRequestIDs(t *testing.T) {
	for _, c := range []struct {
		headers []string
		kept    bool
	}{
		{[]string{"x-request-id: a"}, true},
		{[]string{"x-request-id: 60a1dda8-5451-451b-9aa4-9a85a895ffe1"}, true},
		{[]string{"x-request-id: Az09-_"}, true},
		{[]string{"x-request-id: " + strings.Repeat("x", 64)}, true},
		{[]string{"x-request-id: " + strings.Repeat("x", 65)}, false},
		{[]string{"x-request-id: "}, false},
		{nil, false},
		{[]string{"x-request-id: a b"}, false},
		{[]string{"x-request-id: a.b"}, false},
		{[]string{"x-request-id: a\r\nset-cookie: x"}, false},
		{[]string{`x-request-id: a"`}, false},
		{[]string{"x-request-id: é"}, false},
		{[]string{"x-request-id: a\xff"}, false},
		{[]string{"x-request-id: a", "x-request-id: a"}, false},
	} {
		for _, f := range []form{mapped, raw} {
			check := envoy(f, "GET", "/", c.headers...)
			r := newRequest(check)
			first, second := r.requestID(), newRequest(check).requestID()
			if again := r.requestID(); again != first {
				t.Errorf("%q: the id %q became %q", c.headers, first, again)
			}
			switch {
			case c.kept && "x-request-id: "+first != c.headers[0]:
				t.Errorf("%q is not kept: %q", c.headers, first)
			case !c.kept && (len(first) != 32 || !validRequestID(first) || first == second):
				t.Errorf("%q: made up %q and %q", c.headers, first, second)
			}
		}
	}
}

// TestEveryByteOfARequestID at each end and in the middle.
func TestEveryByteOfARequestID(t *testing.T) {
	for b := range 256 {
		want := b == '-' || b == '_' || '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
		one := string([]byte{byte(b)})
		for _, id := range []string{one, one + "a", "a" + one, "a" + one + "a"} {
			if validRequestID(id) != want {
				t.Errorf("%q: valid is %v", id, !want)
			}
		}
	}
}
