package policy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/policy"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

func jsonText(s string) *policyv1.JsonValue {
	return &policyv1.JsonValue{Value: &policyv1.JsonValue_Text{Text: s}}
}

func jsonLiteral(s string) *policyv1.JsonValue {
	return &policyv1.JsonValue{Value: &policyv1.JsonValue_Literal{Literal: s}}
}

func replying(doc *policyv1.Policy, reply *policyv1.Reply) (*policy.Policy, error) {
	doc.Replies = append(doc.Replies, reply)
	return policy.Compile(doc)
}

// Any text comes out of a body as it went in, wherever it stood.
func TestAwkwardTextInBodies(t *testing.T) {
	for _, s := range []string{
		`"`, `\`, `\"`, `\u0000`, "\x00", "\x01\x1f\x7f", "\n\r\t", "<script>", "&amp;", "</", "é", "日本", "😀", "\u2028\u2029", "\u0085",
		"\ufffd", "\ufeff", "'", "`", "/", "{", "}", "{}", "{ ", "[", ",", ":", `","x":"`, `"}`, " ", "",
	} {
		p, err := replying(document(t, minimal), &policyv1.Reply{
			Name: "SCOPE_MISSING", Message: "m" + s, Code: "c" + s,
			Body: &policyv1.JsonValue{Value: &policyv1.JsonValue_Object{Object: &policyv1.JsonObject{Members: []*policyv1.JsonMember{
				{Name: s, Value: jsonText(s)},
				{Name: "m" + s, Value: jsonText("{message}")},
				{Name: "c" + s, Value: jsonText("<{code}>")},
				{Name: "i" + s, Value: jsonText("{request_id}{key.environment}{request.environment}")},
			}}}},
		})
		if err != nil {
			t.Errorf("%q: %v", s, err)
			continue
		}
		body := p.Reply(policy.ScopeMissing).Body(policy.Facts{RequestID: s, KeyEnvironment: s, RequestEnvironment: s})
		var got map[string]string
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Errorf("%q: %s: %v", s, body, err)
			continue
		}
		for name, want := range map[string]string{s: s, "m" + s: "m" + s, "c" + s: "<c" + s + ">", "i" + s: s + s + s} {
			if got[name] != want {
				t.Errorf("%q: member %q is %q, want %q: %s", s, name, got[name], want, body)
			}
		}
		if !strings.Contains(s, "<") != !strings.Contains(body, "m<") {
			t.Errorf("%q: %s is escaped for HTML, which JSON is not", s, body)
		}
	}
}

func TestLiterals(t *testing.T) {
	for literal, ok := range map[string]bool{
		"1": true, "-1.5e3": true, "true": true, "false": true, "null": true, "0": true,
		"": false, "01": false, "nul": false, "1 2": false, "{": false, "x": false, "+1": false, "NaN": false, "1,2": false, `"`: false,
	} {
		p, err := replying(document(t, minimal), &policyv1.Reply{Name: "403", Body: jsonLiteral(literal)})
		if (err == nil) != ok {
			t.Errorf("%q: got %v", literal, err)
		}
		if err == nil && p.Reply(policy.ScopeMissing).Body(someFacts) != literal {
			t.Errorf("%q is answered as %s", literal, p.Reply(policy.ScopeMissing).Body(someFacts))
		}
	}
	// A value that says nothing is null.
	p, err := replying(document(t, minimal), &policyv1.Reply{Name: "403", Body: &policyv1.JsonValue{}})
	if err != nil || p.Reply(policy.ScopeMissing).Body(someFacts) != "null" {
		t.Errorf("an empty value: %v", err)
	}
}

// someJSON draws bodies with any text in them.
func someJSON(depth int) *rapid.Generator[*policyv1.JsonValue] {
	return rapid.Custom(func(t *rapid.T) *policyv1.JsonValue {
		kinds := 2
		if depth > 0 {
			kinds = 4
		}
		words := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{filled, "{message}", "{", "}", `"{code}\`, "<{reason}>"}))
		switch rapid.IntRange(1, kinds).Draw(t, "kind") {
		case 1:
			return jsonText(words.Draw(t, "text"))
		case 2:
			return jsonLiteral(rapid.SampledFrom([]string{"1", "-0.5", "true", "false", "null"}).Draw(t, "literal"))
		case 3:
			o := &policyv1.JsonObject{}
			for range rapid.IntRange(0, 3).Draw(t, "members") {
				o.Members = append(o.Members, &policyv1.JsonMember{Name: rapid.String().Draw(t, "name"), Value: someJSON(depth-1).Draw(t, "value")})
			}
			return &policyv1.JsonValue{Value: &policyv1.JsonValue_Object{Object: o}}
		}
		a := &policyv1.JsonArray{}
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			a.Items = append(a.Items, someJSON(depth-1).Draw(t, "item"))
		}
		return &policyv1.JsonValue{Value: &policyv1.JsonValue_Array{Array: a}}
	})
}

// Whatever a policy, and a request, put into a body: it compiles and is JSON,
// or it is a problem.
func TestBodiesAreJSON(t *testing.T) {
	sent := 0
	rapid.Check(t, func(r *rapid.T) {
		doc := document(t, minimal)
		p, err := replying(doc, &policyv1.Reply{
			Name: "default", Body: someJSON(3).Draw(r, "body"),
			Message: rapid.String().Draw(r, "message"), Code: rapid.String().Draw(r, "code"),
		})
		if err != nil {
			var found policy.Problems
			if !errors.As(err, &found) {
				r.Fatalf("%v", err)
			}
			return
		}
		sent++
		facts := policy.Facts{rapid.String().Draw(r, "id"), rapid.String().Draw(r, "key"), rapid.String().Draw(r, "request")}
		for _, reason := range policy.Reasons() {
			if reply := p.Reply(reason); reply != nil && !json.Valid([]byte(reply.Body(facts))) {
				r.Fatalf("%s: %s", reason, reply.Body(facts))
			}
		}
	})
	if sent < 20 {
		t.Errorf("only %d replies compiled: the property was hardly tried", sent)
	}
}

// The members of an object keep the order of the document.
func TestBodyKeepsItsOrder(t *testing.T) {
	var members strings.Builder
	var want []string
	for _, name := range []string{"z", "a", "m", "z2", "b"} {
		fmt.Fprintf(&members, "members { name: %q value { text: \"\" } } ", name)
		want = append(want, `"`+name+`":""`)
	}
	p := compile(t, minimal, `replies { name: "403" body { object { `+members.String()+` } } }`)
	if got := p.Reply(policy.HostUnknown).Body(someFacts); got != "{"+strings.Join(want, ",")+"}" {
		t.Errorf("got %s", got)
	}
}
