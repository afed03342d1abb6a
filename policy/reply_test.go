package policy_test

import (
	"fmt"
	"testing"

	"github.com/latchkey/latchkey/policy"
)

var someFacts = policy.Facts{RequestID: "req_1", KeyEnvironment: "live", RequestEnvironment: "test"}

// answer writes a reply on one line.
func answer(r *policy.Reply) string {
	return fmt.Sprint(r.Status, " ", r.ContentType, " ", r.Headers(someFacts), " ", r.Body(someFacts))
}

// text is a body of one string, as protobuf text.
func text(s string) string { return fmt.Sprintf(" body { text: %q } ", s) }

const filled = "{code}/{message}/{reason}/{request_id}/{key.environment}/{request.environment}"

// A field that is absent is taken from the status's reply, then from the
// default one, then from RFC 9457.
func TestReplyInheritance(t *testing.T) {
	p := compile(t, minimal, `
		replies { name: "default" code: "D" message: "default" headers { key: "X-From" value: "default" } headers { key: "x-default" value: "1" }`+text("{code}: {message}")+`}
		replies { name: "403" status: 404 message: "not here" headers { key: "x-from" value: "403" } }
		replies { name: "SCOPE_MISSING" code: "S" headers { key: "X-FROM" value: "scope" } }
		replies { name: "PERMISSION_MISSING" status: 403`+text("own")+`}
		replies { name: "KEY_REVOKED, KEY_EXPIRED" code: "R" message: "over" }
		replies { name: "503" status: 502 message: "later" }`)
	for reason, want := range map[policy.Reason]string{
		policy.KeyMissing:        `401 application/json [{x-default 1} {x-from default}] "D: default"`,
		policy.KeyRevoked:        `401 application/json [{x-default 1} {x-from default}] "R: over"`,
		policy.KeyExpired:        `401 application/json [{x-default 1} {x-from default}] "R: over"`,
		policy.EndpointUnknown:   `404 application/json [{x-default 1} {x-from 403}] "D: not here"`,
		policy.HostUnknown:       `404 application/json [{x-default 1} {x-from 403}] "D: not here"`,
		policy.ScopeMissing:      `404 application/json [{x-default 1} {x-from scope}] "S: not here"`,
		policy.PermissionMissing: `403 application/json [{x-default 1} {x-from 403}] "own"`,
		policy.NotReady:          `502 application/json [{x-default 1} {x-from default}] "D: later"`,
		policy.Undecided:         `502 application/json [{x-default 1} {x-from default}] "D: later"`,
	} {
		if got := answer(p.Reply(reason)); got != want {
			t.Errorf("%s: got\n%s, want\n%s", reason, got, want)
		}
	}
}

func TestReplyWithoutBody(t *testing.T) {
	p := compile(t, minimal, `replies { name: "SCOPE_MISSING" status: 404 code: "no_scope" message: "Ask {request.environment}." }`)
	want := `404 application/problem+json [] {"type":"about:blank","title":"Not Found","status":404,"detail":"Ask test.","code":"no_scope","request_id":"req_1"}`
	if got := answer(p.Reply(policy.ScopeMissing)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A policy may tell 401s apart on purpose.
func TestReplyTells401sApart(t *testing.T) {
	p := compile(t, minimal, `replies { name: "401"`+text("{code} {reason}")+`} replies { name: "KEY_REVOKED" code: "KEY_REVOKED" }`)
	for reason, want := range map[policy.Reason]string{
		policy.KeyRevoked: `"KEY_REVOKED KEY_REVOKED"`,
		policy.KeyUnknown: `"UNAUTHORIZED KEY_UNKNOWN"`,
	} {
		if got := p.Reply(reason).Body(someFacts); got != want {
			t.Errorf("%s: got %s, want %s", reason, got, want)
		}
	}
}

func TestPlaceholders(t *testing.T) {
	for _, tc := range []struct{ says, reply, want string }{
		{"all of them", `code: "c" message: "m"` + text(filled), `[] "c/m/SCOPE_MISSING/req_1/live/test"`},
		{"in a message", `message: "{key.environment} key on {request.environment}, {request_id}"` + text("{message}"), `[] "live key on test, req_1"`},
		{"in a code", `code: "{key.environment}_KEY"` + text("{code}"), `[] "live_KEY"`},
		{"in a header", `code: "c" message: "m" headers { key: "x-all" value: "` + filled + `" }` + text("b"), `[{x-all c/m/SCOPE_MISSING/req_1/live/test}] "b"`},
		{"in a message in a header", `message: "in {request.environment}" headers { key: "x-m" value: "{message}!" }` + text("b"), `[{x-m in test!}] "b"`},
		{"twice", text("{request_id}{request_id}"), `[] "req_1req_1"`},
		{"in arrays and objects", `body { array { items { text: "{code}" } items { object { members { name: "m" value { text: "{reason}" } } } } } }`, `[] ["SCOPE_MISSING",{"m":"SCOPE_MISSING"}]`},
		{"not in the names of members", `body { object { members { name: "{code}" value { text: "x" } } } }`, `[] {"{code}":"x"}`},
		{"not across values", `body { array { items { text: "{co" } items { text: "de}" } } }`, `[] ["{co","de}"]`},
		{"other braces are text", text("{} { code } {Code} {0} {a-b} } { }{"), `[] "{} { code } {Code} {0} {a-b} } { }{"`},
		{"within braces", text(`{"e": "{code}"} {{code}} {x {code}`), `[] "{\"e\": \"SCOPE_MISSING\"} {SCOPE_MISSING} {x SCOPE_MISSING"`},
		{"beside a lone brace", text("} {code} {"), `[] "} SCOPE_MISSING {"`},
		{"a message is not read twice", `message: "{Code}" code: "c"` + text("{message}"), `[] "{Code}"`},
	} {
		p := compile(t, minimal, `replies { name: "SCOPE_MISSING" `+tc.reply+`}`)
		r := p.Reply(policy.ScopeMissing)
		if got := fmt.Sprint(r.Headers(someFacts), " ", r.Body(someFacts)); got != tc.want {
			t.Errorf("%s: got\n%s, want\n%s", tc.says, got, tc.want)
		}
	}
}

// A fact that is not known is empty.
func TestFactsMayBeEmpty(t *testing.T) {
	p := compile(t, minimal, `replies { name: "SCOPE_MISSING" headers { key: "x-id" value: "<{request_id}>" }`+text("<{key.environment}{request.environment}>")+`}`)
	r := p.Reply(policy.ScopeMissing)
	if got := fmt.Sprint(r.Headers(policy.Facts{}), r.Body(policy.Facts{})); got != `[{x-id <>}]"<>"` {
		t.Errorf("got %s", got)
	}
}

func TestReplyHeaders(t *testing.T) {
	p := compile(t, minimal, `
		replies { name: "SCOPE_MISSING" headers { key: "Content-Type" value: "application/vnd.demo+json" } headers { key: "X-B" value: "2" } headers { key: "x-a" value: " ~" }`+text("b")+`}
		replies { name: "HOST_UNKNOWN" headers { key: "content-type" value: "application/vnd.demo+json" } }`)
	for reason, want := range map[policy.Reason]string{
		policy.ScopeMissing: `403 application/vnd.demo+json [{x-a  ~} {x-b 2}] "b"`,
		policy.KeyMissing:   answer(policy.DefaultReply(policy.KeyMissing)),
	} {
		if got := answer(p.Reply(reason)); got != want {
			t.Errorf("%s: got %s, want %s", reason, got, want)
		}
	}
	if got := p.Reply(policy.HostUnknown).ContentType; got != "application/vnd.demo+json" {
		t.Errorf("a content type without a body of its own: got %s", got)
	}
	// What is returned is the caller's own.
	headers := p.Reply(policy.ScopeMissing).Headers(someFacts)
	headers[0].Value = "changed"
	if got := p.Reply(policy.ScopeMissing).Headers(someFacts)[0].Value; got != " ~" {
		t.Errorf("a header could be changed: %q", got)
	}
}
