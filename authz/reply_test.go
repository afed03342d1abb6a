package authz

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
)

// repliesPolicy repeats everything that a reply may repeat.
const repliesPolicy = `
name: replies
environments:
  live: {hosts: [replies.example], title: production}
tenants: {team: {named_by: [header x-team-id]}}
scopes: [read]
key_types:
  secret: {format: "rk_{environment}_{secret:30}", owner: team, grantable: [all]}
endpoints:
  Read: {scopes: [read], routes: [GET /x]}
  Open: {public: true, routes: [GET /open]}
replies:
  default:
    headers: {x-echo: "{request_id} {key.environment} {request.environment} {code} {reason}"}
    body: {id: "{request_id}", key: "{key.environment}", request: "{request.environment}", message: "{message}"}
  "401": {status: 404}
`

// wild is text that a damaged store could hold.
var wild = rapid.OneOf(
	rapid.SampledFrom([]string{"", "live", "test", "team:t_1", "org:o_1", "read", "a\r\nset-cookie: x", "\x00", "é", "a\nb", "\x7f", "tab\t", `"quoted"`}),
	rapid.StringN(0, 8, 32),
)

// verdicts draws verdicts of every shape that decide could hand on, sound or
// not. Only where no policy is known nobody is let in.
func verdicts(w *world) *rapid.Generator[*Verdict] {
	return rapid.Custom(func(t *rapid.T) *Verdict {
		v := &Verdict{Reason: policy.Reason(rapid.Byte().Draw(t, "reason")), Revision: rapid.Uint64().Draw(t, "revision")}
		name := rapid.SampledFrom([]string{"acme", "replies", ""}).Draw(t, "policy")
		if name == "" {
			v.Reason = rapid.SampledFrom([]policy.Reason{policy.HostUnknown, policy.NotReady, policy.ReplicaStale, policy.Undecided, 99, 255}).Draw(t, "reason without a policy")
			return v
		}
		p := w.policies.Get(name)
		if rapid.Bool().Draw(t, "a real reason") {
			v.Reason = rapid.SampledFrom(policy.Reasons()).Draw(t, "reason")
		}
		v.Place = policy.Place{Policy: p, Environment: wild.Draw(t, "place"), Unknown: rapid.Bool().Draw(t, "unknown")}
		if rapid.Bool().Draw(t, "routed") {
			v.Route = rapid.SampledFrom([]*policy.Route{w.acme().Match("GET", "/things"), w.acme().Match("GET", "/status")}).Draw(t, "route")
		}
		if rapid.Bool().Draw(t, "known") {
			v.Key = &key.Facts{
				ID: key.ParseID(wild.Draw(t, "id")), Type: wild.Draw(t, "type"), Environment: wild.Draw(t, "environment"),
				Tenant: wild.Draw(t, "owner"), Principal: wild.Draw(t, "principal"), Role: wild.Draw(t, "role"),
			}
			v.Held.Scopes = p.Scopes()
		}
		if rapid.Bool().Draw(t, "typed") {
			v.Type = p.Type("secret")
		}
		v.Tenant = wild.Draw(t, "tenant")
		v.Tenants = rapid.SliceOfN(wild, 0, 3).Draw(t, "tenants")
		v.Plan = wild.Draw(t, "plan")
		return v
	})
}

// TestEveryResponse: whatever the verdict, the response says one thing, can
// be sent, splits no header, and lets in nobody whom the verdict doesn't.
func TestEveryResponse(t *testing.T) {
	w := newWorld(t, compile(t, repliesPolicy))
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		v := verdicts(w).Draw(t, "verdict")
		headers := rapid.SliceOfN(rapid.SampledFrom(append([]string{
			bearer("key_full"), "x-api-key: x", "x-team-id: t_1", "x-request-id: r1", "x-request-id: a\r\nb", `x-request-id: "`,
		}, spoofed...)), 0, 5).Draw(t, "headers")
		r := newRequest(envoy(form(rapid.Bool().Draw(t, "form")), "GET", "/things", headers...))
		asked := *v
		got := responseOf(v, r)
		checkResponse(t, &asked, v, got)
		switch {
		case got.GetOkResponse() != nil:
			seen["allowed"]++
		case asked.Reason.Allows():
			seen["unsafe"]++
		default:
			seen["refused"]++
		}
	})
	if !testing.Short() && len(seen) != 3 { // then there are too few to tell
		t.Errorf("the generator has grown blind: %v", seen)
	}
}

func checkResponse(t *rapid.T, asked, answered *Verdict, got *authv3.CheckResponse) {
	if proto.Size(got) == 0 {
		t.Fatalf("nothing is answered to %v", asked)
	}
	if _, err := proto.Marshal(got); err != nil {
		t.Fatal(err)
	}
	allowed := got.GetOkResponse() != nil
	if allowed && !asked.Reason.Allows() {
		t.Fatalf("%s allows", asked.Reason)
	}
	if allowed != answered.Reason.Allows() {
		t.Fatalf("answered with %s, allowed is %v", answered.Reason, allowed)
	}
	if got.GetDynamicMetadata().GetFields()["reason"].GetStringValue() != answered.Reason.String() {
		t.Fatalf("metadata say %v", got.GetDynamicMetadata())
	}
	list := append(slices.Clone(got.GetOkResponse().GetHeaders()), got.GetDeniedResponse().GetHeaders()...)
	set := map[string]bool{}
	for _, h := range list {
		name := h.GetHeader().GetKey()
		if set[name] {
			t.Fatalf("%s is set twice", name)
		}
		set[name] = true
		if strings.ContainsFunc(name+h.GetHeader().GetValue(), func(c rune) bool { return c < ' ' || c > '~' }) {
			t.Fatalf("%s: %q", name, h.GetHeader().GetValue())
		}
		if len(h.GetHeader().GetRawValue()) > 0 {
			t.Fatalf("%s: Envoy takes a raw value for an empty one", name)
		}
	}
	for _, name := range got.GetOkResponse().GetHeadersToRemove() {
		if set[name] {
			t.Fatalf("%s is set and removed", name)
		}
		set[name] = true
	}
	if allowed {
		for _, name := range factNames {
			if !set[identityPrefix+name] {
				t.Fatalf("%s is neither set nor removed", name)
			}
		}
		return
	}
	if asked.Reason.Allows() {
		unsafe := fmt.Sprint(got.GetDynamicMetadata())
		if code := got.GetDeniedResponse().GetStatus().GetCode(); code != 503 || strings.Contains(unsafe, "key_id") {
			t.Fatalf("an unsafe value is answered with %v, %s", code, unsafe)
		}
	}
	if body := got.GetDeniedResponse().GetBody(); strings.ContainsFunc(body, func(c rune) bool { return c < ' ' || c > '~' }) {
		t.Fatalf("the body is %q", body)
	}
}

// TestUnsafeValues: a value that would split a header is an outage, not an
// answer; and what is counted is what was answered.
func TestUnsafeValues(t *testing.T) {
	for b := range 256 {
		text := "a" + string(rune(b)) + "b"
		w := newWorld(t)
		r := w.keys["key_full"]
		delete(w.keys, r.ID)
		r.ID = text
		w.keys[text] = r
		got := w.check(t, get("/things", bearer("key_full")))
		if b >= ' ' && b <= '~' {
			if !got.allowed || got.headers["x-latchkey-key-id"] != text {
				t.Errorf("%q: %s, %v", text, got.reason, got.headers)
			}
			continue
		}
		if got.allowed || got.status != 503 || got.reason != "UNDECIDED" || got.metadata["key_id"] != nil {
			t.Errorf("%q: %s, status %d", text, got.reason, got.status)
		}
	}
}

// TestRepliesOfThePolicy are told of what the policy knows, and of nothing else.
func TestRepliesOfThePolicy(t *testing.T) {
	w := newWorld(t, compile(t, repliesPolicy))
	p := w.policies.Get("replies")
	v := Verdict{Reason: policy.ScopeMissing, Place: policy.Place{Policy: p, Environment: "live"}, Key: &key.Facts{Environment: "live"}}
	got := readAnswer(t, responseOf(&v, newRequest(get("/x"))))
	if want := "r1 live production SCOPE_MISSING SCOPE_MISSING"; got.headers["x-echo"] != want {
		t.Errorf("x-echo is %q, want %q", got.headers["x-echo"], want)
	}
	if want := `{"id":"r1","key":"live","request":"production","message":"` + policy.ScopeMissing.Message() + `"}`; got.body != want {
		t.Errorf("the body is %s, want %s", got.body, want)
	}
	v.Key.Environment, v.Place.Environment = "a\r\nb", `"`
	got = readAnswer(t, responseOf(&v, newRequest(get("/x"))))
	if want := "r1   SCOPE_MISSING SCOPE_MISSING"; got.headers["x-echo"] != want {
		t.Errorf("x-echo is %q, want %q", got.headers["x-echo"], want)
	}
	// A 401 that a policy spells otherwise is no challenge.
	got = w.check(t, get("/x", "host: replies.example"))
	if _, challenged := got.headers["www-authenticate"]; got.reason != "KEY_MISSING" || got.status != 404 || challenged || got.code != codes.Unauthenticated {
		t.Errorf("%s: status %d, %v", got.reason, got.status, got.headers)
	}
}

// TestConsistent: what Envoy would take for an allow, or for an error that
// failure_mode_allow turns into one, never leaves.
func TestConsistent(t *testing.T) {
	for name, c := range map[string]struct {
		answer answer
		want   bool
	}{
		"an allow":              {answer{code: codes.OK, allows: true}, true},
		"a refusal":             {answer{code: codes.PermissionDenied, status: 403}, true},
		"an outage":             {answer{code: codes.Unavailable, status: 503}, true},
		"nothing":               {answer{}, false},
		"OK and denied":         {answer{code: codes.OK, status: 403}, false},
		"refused and ok":        {answer{code: codes.PermissionDenied, allows: true}, false},
		"refused, no HTTP code": {answer{code: codes.PermissionDenied}, false},
		"refused with a 200":    {answer{code: codes.PermissionDenied, status: 200}, false},
		"refused with a 302":    {answer{code: codes.PermissionDenied, status: 302}, false},
		"a fact in no UTF-8":    {answer{code: codes.PermissionDenied, status: 403, facts: facts{factRole: "\xff"}}, false},
		"a plan in no UTF-8":    {answer{code: codes.OK, allows: true, plan: "\xff"}, false},
		"a body in no UTF-8":    {answer{code: codes.PermissionDenied, status: 403, body: "\xff"}, false},
	} {
		if got := c.answer.consistent(); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	// An answer begins as a refusal, whatever was in its memory.
	a := answer{code: codes.OK, allows: true, plan: "pro", facts: facts{factKeyID: "k"}}
	if a.refuse(); !a.consistent() || a.allows || a.facts != (facts{}) || a.plan != "" {
		t.Errorf("it begins as %+v", a)
	}
}
