package authz

import (
	"context"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/policy"
)

// FuzzRequest decodes whatever Envoy, or who poses as it, could send: a check
// never panics, always answers consistently, and lets nobody in whose key
// isn't there.
func FuzzRequest(f *testing.F) {
	for _, c := range captures(f) {
		f.Add(c.bytes)
	}
	w := newWorld(f, compile(f, capturedPolicy))
	for _, c := range reasonCases() {
		seed, err := proto.Marshal(c.request)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
	s := NewServer(Options{Source: w.view, Now: func() time.Time { return noon }})
	f.Fuzz(func(t *testing.T, data []byte) {
		var check authv3.CheckRequest
		if proto.Unmarshal(data, &check) != nil {
			return
		}
		got, err := s.Check(context.Background(), &check)
		if err != nil {
			t.Fatal(err)
		}
		a := readAnswer(t, got)
		id := a.headers["x-latchkey-key-id"]
		if !a.allowed || a.reason == policy.Public.String() || a.reason == policy.Preflight.String() {
			if id != "" {
				t.Fatalf("%s tells of %s", a.reason, id)
			}
			return
		}
		if tokens[id] == "" || !strings.Contains(string(data), tokens[id]) {
			t.Fatalf("let in as %q without its token", id)
		}
	})
}

// FuzzCredential reads one place: only what has the form of a token comes
// out of it, and only if nothing else is there.
func FuzzCredential(f *testing.F) {
	for _, value := range []string{
		"", "Bearer", "Bearer ", "Bearer x", "bearer\tx", "Bearer x,Bearer y", "Bearer x y", "x", "Basic x", " Bearer x ", "Bearer,", strings.Repeat("a", 257),
	} {
		f.Add(value, true, 1)
		f.Add(value, false, 2)
	}
	f.Fuzz(func(t *testing.T, value string, isBearer bool, times int) {
		got, reason := read(policy.Credential{Header: "h", Bearer: isBearer}, value, times)
		switch reason {
		case policy.Allowed:
			want := got
			if isBearer {
				if len(value) < 7 || !strings.EqualFold(value[:6], "bearer") {
					t.Fatalf("%q has no scheme", value)
				}
				want = value[:6] + " " + got
			}
			if value != want || !tokenText(got) || times != 1 && times > 0 {
				t.Fatalf("%q sent %d times is the token %q", value, times, got)
			}
		case policy.KeyMissing, policy.KeyAmbiguous, policy.KeyMalformed:
			if got != "" {
				t.Fatalf("%s comes with %q", reason, got)
			}
		default:
			t.Fatalf("%q: %s", value, reason)
		}
	})
}
