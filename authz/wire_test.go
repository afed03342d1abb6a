package authz

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"
)

// newRequest is the request of a message that Envoy could send.
func newRequest(check *authv3.CheckRequest) *Request {
	message, err := proto.Marshal(check)
	if err != nil {
		panic(err)
	}
	r := &Request{}
	if err := r.decode(message); err != nil {
		panic(err)
	}
	return r
}

// responseOf is the answer to a verdict, or nil where it says two things.
func responseOf(v *Verdict, r *Request) *authv3.CheckResponse {
	var a answer
	respond(&a, v, r)
	if !a.consistent() {
		return nil
	}
	response := &authv3.CheckResponse{}
	if err := proto.Unmarshal(a.append(nil), response); err != nil {
		panic(err)
	}
	return response
}

// sameRequest says how what was read of a message differs from what the
// generated types hold.
func sameRequest(got *Request, check *authv3.CheckRequest) error {
	f := reference{check: check}
	want := f.request()
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"method", got.method, want.method},
		{"host", got.host, want.host},
		{"path", got.path, want.path},
		{"query", got.query, want.query},
		{"verbatim", got.verbatim, want.verbatim},
		{"torn", got.torn, want.torn},
		{"listed headers", len(got.headers.listed), len(want.headers.listed)},
	} {
		if c.got != c.want {
			return fmt.Errorf("%s is %#v, want %#v", c.what, c.got, c.want)
		}
	}
	if !maps.Equal(got.extensions, want.extensions) {
		return fmt.Errorf("extensions are %q, want %q", got.extensions, want.extensions)
	}
	last := map[string]string{}
	for _, h := range got.headers.mapped {
		last[h.name] = h.value
	}
	if !maps.Equal(last, f.http().GetHeaders()) {
		return fmt.Errorf("mapped headers are %q, want %q", last, f.http().GetHeaders())
	}
	for i, h := range got.headers.listed {
		if w := want.headers.listed[i]; h.name != w.name || h.value != w.value {
			return fmt.Errorf("header %d is %q: %q, want %q: %q", i, h.name, h.value, w.name, w.value)
		}
	}
	// Whatever a policy asks for, in the lower case in which it asks.
	names := f.names()
	names["authorization"] = true
	for name := range names {
		if !isPlain(name) {
			continue
		}
		value, times := got.header(name)
		if wantValue, wantTimes := f.header(name); value != wantValue || times != wantTimes {
			return fmt.Errorf("%q is %q, %d times; want %q, %d times", name, value, times, wantValue, wantTimes)
		}
	}
	return nil
}

// decodeBoth reads a message from the wire and by the generated types. It
// returns what is there, and an error where the two disagree.
func decodeBoth(message []byte) (*Request, *authv3.CheckRequest, error) {
	r, check := &Request{}, &authv3.CheckRequest{}
	err, wantErr := r.decode(message), proto.Unmarshal(message, check)
	if (err == nil) != (wantErr == nil) {
		return nil, nil, fmt.Errorf("decode: %w, proto.Unmarshal: %v", err, wantErr)
	}
	if err != nil {
		return nil, nil, nil
	}
	return r, check, sameRequest(r, check)
}

// checkBoth answers a message on both ways: the wire's, and the one of the
// generated types. It returns an error where what is read of it, or a byte of
// the answers, differs.
func checkBoth(s *Server, now time.Time, message []byte) error {
	x := newExchange()
	defer x.release()
	x.message = append(x.message, message...)
	check := &authv3.CheckRequest{}
	err, wantErr := s.check(context.Background(), x), proto.Unmarshal(message, check)
	if (err == nil) != (wantErr == nil) {
		return fmt.Errorf("check: %w, proto.Unmarshal: %v", err, wantErr)
	}
	if err != nil {
		return nil
	}
	if err := sameRequest(&x.request, check); err != nil {
		return err
	}
	f := reference{check: check, id: x.request.id}
	d := &decision{view: s.source(), request: f.request(), now: now}
	d.decide()
	v := d.Verdict
	want, err := proto.MarshalOptions{Deterministic: true}.Marshal(f.respond(&v))
	if err != nil {
		return err
	}
	if !bytes.Equal(x.out, want) {
		got := &authv3.CheckResponse{}
		return fmt.Errorf("%s: the answer is (%v)\n%v, want\n%v", v.Reason, proto.Unmarshal(x.out, got), got, f.respond(&v))
	}
	return nil
}

// fixture is a server over a world, at noon.
func fixture(tb testing.TB, w *world) *Server {
	tb.Helper()
	return NewServer(Options{Source: w.view, Now: func() time.Time { return noon }})
}

// TestCapturesOnBothWays: what real Envoys sent is read and answered to the
// byte as the generated types do it.
func TestCapturesOnBothWays(t *testing.T) {
	s := fixture(t, newWorld(t, compile(t, capturedPolicy)))
	for _, c := range captures(t) {
		if _, _, err := decodeBoth(c.bytes); err != nil {
			t.Errorf("%s: %v", c.ID, err)
		}
		if err := checkBoth(s, noon, c.bytes); err != nil {
			t.Errorf("%s: %v", c.ID, err)
		}
	}
}

// TestEveryReasonOnBothWays: so is a request for every reason.
func TestEveryReasonOnBothWays(t *testing.T) {
	newWorld(t)
	for reason, c := range reasonCases() {
		w := newWorld(t)
		if c.world != nil {
			c.world(w)
		}
		message, err := proto.Marshal(c.request)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkBoth(fixture(t, w), noon, message); err != nil {
			t.Errorf("%s: %v", reason, err)
		}
	}
}

// TestEveryLength: a length may need one byte, two or three, of each message
// that an answer is made of.
func TestEveryLength(t *testing.T) {
	lengths := []int{1 << 13, 1<<14 - 1, 1 << 14, 1<<14 + 1, 1 << 21}
	for n := range 400 {
		lengths = append(lengths, n)
	}
	for n := 1<<14 - 600; n < 1<<14; n++ {
		lengths = append(lengths, n)
	}
	allowed, err := proto.Marshal(get("/things", bearer("key_full")))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	s := fixture(t, w)
	for _, n := range lengths {
		w.keys["key_full"].Role = strings.Repeat("r", n)
		w.tenants["team:t_1"].Plan = strings.Repeat("p", n)
		refused, err := proto.Marshal(get("/nothing", bearer("key_full"), "x-latchkey-"+strings.Repeat("x", n)+": x"))
		if err != nil {
			t.Fatal(err)
		}
		for _, message := range [][]byte{allowed, refused} {
			if err := checkBoth(s, noon, message); err != nil {
				t.Fatalf("%d: %v", n, err)
			}
		}
	}
}

// TestNamesInOtherLetters: what Envoy would write in lower case is taken for
// what it means, should it come otherwise.
func TestNamesInOtherLetters(t *testing.T) {
	w := newWorld(t)
	s := fixture(t, w)
	for _, name := range []string{
		"X-Latchkey-Role", "x-latchkey-ROLE", "X-LATCHKEY-SPOOFED", "X_Latchkey_Tenant", "x-latch\u212aey-role", "X-Latch\u212aey-\u017fcopes", "x-latchkey-\u0130", "Authorization", "X-Team-Id",
	} {
		for _, f := range []form{mapped, raw} {
			check := envoy(f, "GET", "/things", bearer("key_full"), name+": x")
			message, err := proto.Marshal(check)
			if err != nil {
				t.Fatal(err)
			}
			if err := checkBoth(s, noon, message); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	got := w.check(t, envoy(raw, "GET", "/things", bearer("key_full"), "X-Latchkey-Spoofed: x"))
	if !got.allowed || !got.removed["x-latchkey-spoofed"] {
		t.Errorf("%s: %v are removed", got.reason, got.removed)
	}
}
