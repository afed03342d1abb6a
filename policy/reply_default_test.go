package policy_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/policy"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := "testdata/" + name
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update writes it anew):\n%s", file, got)
	}
}

// What a client is told where the policy says nothing, for every reason.
func TestDefaultReplies(t *testing.T) {
	facts := policy.Facts{RequestID: "req_1", KeyEnvironment: "live", RequestEnvironment: "test"}
	p := compile(t, minimal)
	var all bytes.Buffer
	for _, r := range append([]policy.Reason{policy.Undecided}, policy.Reasons()...) {
		if r.Allows() {
			if p.Reply(r) != nil {
				t.Errorf("%s allows and has a reply", r)
			}
			continue
		}
		reply := policy.DefaultReply(r)
		fmt.Fprintf(&all, "%s\n%d %s %v\n%s\n\n", r, reply.Status, reply.ContentType, reply.Headers(facts), reply.Body(facts))
		if own := p.Reply(r); own.Body(facts) != reply.Body(facts) || own.Status != reply.Status || own.ContentType != reply.ContentType {
			t.Errorf("%s: a policy that says nothing answers %s, not %s", r, own.Body(facts), reply.Body(facts))
		}
	}
	golden(t, "default-replies.golden", all.Bytes())
}

// By default every 401 is the same to the byte but for the request id.
func TestEvery401IsTheSame(t *testing.T) {
	facts := policy.Facts{RequestID: "r"}
	for name, reply := range map[string]func(policy.Reason) *policy.Reply{
		"no policy":                 policy.DefaultReply,
		"a policy without replies":  compile(t, minimal).Reply,
		"a policy with one for all": compile(t, minimal, `replies { name: "401" message: "Invalid" body { object { members { name: "m" value { text: "{code} {message}" } } } } }`).Reply,
	} {
		bodies := map[string][]string{}
		for _, r := range policy.Reasons() {
			if r.Status() == 401 {
				b := fmt.Sprint(reply(r).Status, reply(r).ContentType, reply(r).Headers(facts), reply(r).Body(facts))
				bodies[b] = append(bodies[b], r.String())
			}
		}
		if len(bodies) != 1 {
			t.Errorf("%s: 401s differ: %v", name, bodies)
		}
		for _, reasons := range bodies {
			if len(reasons) != 8 {
				t.Errorf("%s: %d reasons are answered 401: %v", name, len(reasons), reasons)
			}
		}
	}
}

// The table of reasons as the contract has it, in its order.
func TestReasons(t *testing.T) {
	const contract = `HOST_UNKNOWN 403
PUBLIC 200
PREFLIGHT 200
REPLICA_STALE 503
NOT_READY 503
KEY_MISSING 401
KEY_AMBIGUOUS 401
KEY_MALFORMED 401
KEY_UNKNOWN 401
KEY_REVOKED 401
KEY_EXPIRED 401
KEY_DISABLED 401
PRINCIPAL_GONE 401
TENANT_SUSPENDED 403
PATH_AMBIGUOUS 403
ENDPOINT_UNKNOWN 403
ENVIRONMENT_MISMATCH 403
KEY_TYPE_NOT_ALLOWED 403
SCOPE_MISSING 403
PERMISSION_MISSING 403
TENANT_MISMATCH 403
ALLOWED 200
`
	var have strings.Builder
	for _, r := range policy.Reasons() {
		fmt.Fprintln(&have, r, r.Status())
		if r.Message() == "" {
			t.Errorf("%s has no message", r)
		}
	}
	if have.String() != contract {
		t.Errorf("the reasons are\n%s", have.String())
	}
	for _, r := range []policy.Reason{policy.Undecided, policy.Allowed + 1, 200, 255} {
		if r.Status() != 503 || r.Allows() || r.String() != "UNDECIDED" || policy.DefaultReply(r).Status != 503 {
			t.Errorf("what is no outcome is answered %d %s", r.Status(), r)
		}
	}
	if compile(t, minimal).Reply(200).Status != 503 {
		t.Error("a policy answers what is no outcome with something else than an outage")
	}
}
