package decisionlog

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const bearer = "authorization: Bearer " + token

func TestLines(t *testing.T) {
	const host = "api.acme.example"
	for name, c := range map[string]struct {
		method, host, path string
		headers            []string
		want               string
	}{
		"allowed": {
			"GET", host, "/things/5?query=1",
			[]string{bearer, "x-request-id: 7f2c"},
			`"decision":"allow","status":200,"reason":"ALLOWED","policy":"acme","environment":"live","key_id":"key_1","key_type":"secret","tenant":"team:t_1",` +
				`"method":"GET","endpoint":"Read things","route":"GET /things/{id}","request_id":"7f2c","revision":7,"took_us":17}`,
		},
		"a scope that the ceiling has cut": {
			"POST", host, "/things",
			[]string{bearer, "x-request-id: 5e47cb98-8712-4673-ab99-a716e6ec66ab"},
			`"decision":"deny","status":403,"reason":"SCOPE_MISSING","policy":"acme","environment":"live","key_id":"key_1","key_type":"secret","tenant":"team:t_1",` +
				`"method":"POST","endpoint":"Write things","route":"POST /things","required_scopes":"write","missing_scopes":"write",` +
				`"request_id":"5e47cb98-8712-4673-ab99-a716e6ec66ab","revision":7,"took_us":17}`,
		},
		"a permission": {
			"DELETE", host, "/things/1",
			[]string{bearer, "x-request-id: 1"},
			`"decision":"deny","status":403,"reason":"PERMISSION_MISSING","policy":"acme","environment":"live","key_id":"key_1","key_type":"secret","tenant":"team:t_1",` +
				`"method":"DELETE","endpoint":"Delete things","route":"DELETE /things/{id}","required_permissions":"things.delete","missing_permissions":"things.delete",` +
				`"request_id":"1","revision":7,"took_us":17}`,
		},
		"nobody, on a route that exists": {
			"GET", host, "/things",
			[]string{"x-request-id: 1"},
			`"decision":"deny","status":401,"reason":"KEY_MISSING","policy":"acme","environment":"live","method":"GET","endpoint":"Read things","route":"GET /things","request_id":"1","revision":7,"took_us":17}`,
		},
		"another tenant's": {
			"GET", host, "/teams/t_2",
			[]string{bearer, "x-request-id: 1"},
			`"decision":"deny","status":403,"reason":"TENANT_MISMATCH","policy":"acme","environment":"live","key_id":"key_1","key_type":"secret",` +
				`"method":"GET","endpoint":"Teams","route":"GET /teams/{team}","request_id":"1","revision":7,"took_us":17}`,
		},
		"a method of the client's own": {
			"FETCH", "elsewhere.example", "/things",
			[]string{"x-request-id: 1"},
			`"decision":"deny","status":403,"reason":"HOST_UNKNOWN","method":"other","request_id":"1","revision":7,"took_us":17}`,
		},
		"a request id that could be a token": {
			"GET", "elsewhere.example", "/",
			[]string{"x-request-id: " + token},
			`"decision":"deny","status":403,"reason":"HOST_UNKNOWN","method":"GET","revision":7,"took_us":17}`,
		},
	} {
		want := `{"time":"2026-11-22T12:00:00.123473Z",` + c.want + "\n"
		if got := lineOf(t, request(c.method, c.host, c.path, c.headers...)); got != want {
			t.Errorf("%s:\n%s, want\n%s", name, got, want)
		}
	}
}

// A refusal that the client gave no id has the one that it was told.
func TestEachRefusalHasAnID(t *testing.T) {
	if id, _ := fields(t, lineOf(t, request("GET", "elsewhere.example", "/")))["request_id"].(string); len(id) != 32 {
		t.Errorf("the id is %q", id)
	}
}

// whatever is text of all sorts, with a secret in some.
func whatever(planted string) *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.Just(planted), rapid.Just("Bearer "+planted), rapid.Just("a"+planted), rapid.Just("/things/"+planted), rapid.Just("/things?key="+planted),
		rapid.Just(planted+".acme.example"), rapid.Just("api.acme.example"), rapid.Just("/things"), rapid.Just("GET"), rapid.String(),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
	)
}

// TestSecretsStayOut: wherever a client puts a token, of a key or of nobody's, no line has it, and each line is one of JSON.
func TestSecretsStayOut(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		planted := rapid.SampledFrom([]string{token, "uk_live_4" + secret[1:], "pk_test_" + secret + "01AbCd", "ghp_" + secret, secret}).Draw(r, "planted")
		text := whatever(planted)
		var headers []string
		for range rapid.IntRange(0, 6).Draw(r, "headers") {
			name := rapid.OneOf(rapid.SampledFrom([]string{
				"authorization", "x-api-key", "x-request-id", "x-team-id", "x-org-id", "x-latchkey-key-id", "traceparent", "origin", "access-control-request-method",
			}), rapid.Just(strings.ToLower(planted)), rapid.StringMatching(`[a-z-]{1,12}`)).Draw(r, "name")
			headers = append(headers, name+": "+text.Draw(r, "value"))
		}
		check := request(text.Draw(r, "method"), text.Draw(r, "host"), text.Draw(r, "path"), headers...)
		if rapid.Bool().Draw(r, "extended") {
			check.Attributes.ContextExtensions = map[string]string{"latchkey.policy": text.Draw(r, "policy"), "latchkey.environment": text.Draw(r, "environment")}
		}
		c := &collector{}
		if _, err := server(t, c).Check(t.Context(), check); err != nil {
			return // no answer, and so no line
		}
		fields(t, c.lines[0])
		for _, part := range []string{planted, planted[:22], planted[len(planted)-22:]} {
			if strings.Contains(strings.ToLower(c.lines[0]), strings.ToLower(part)) {
				t.Fatalf("%s has the secret", c.lines[0])
			}
		}
	})
}

// FuzzLine: whatever a client sends, its line is one of JSON, of names that are documented.
func FuzzLine(f *testing.F) {
	f.Add("GET", "api.acme.example", "/things", "authorization", "Bearer "+token)
	f.Add("\x00\n", "a\"b", "/\\", "x-request-id", "\xff\"\n")
	s := &collector{}
	checks := server(f, s)
	f.Fuzz(func(t *testing.T, method, host, path, name, value string) {
		s.lines = nil
		if _, err := checks.Check(t.Context(), request(method, host, path, name+": "+value)); err != nil {
			return
		}
		for field := range fields(t, s.lines[0]) {
			if !documented(t)[field] {
				t.Errorf("docs/observability.md doesn't have the field %s", field)
			}
		}
	})
}

// What a policy or a store calls something is told as it is, whatever is in it.
func TestTextIsQuoted(t *testing.T) {
	for _, text := range []string{`plain`, `Läse ☃`, "a\"b\\c", "tab\tline\nnul\x00", "\xff\xfe", "<&>"} {
		line := append(appendText([]byte(`{"first":1`), "text", text), "}\n"...)
		if got := fields(t, string(line))["text"]; got != strings.ToValidUTF8(text, "\ufffd") && got != "\ufffd\ufffd" {
			t.Errorf("%q is told as %q", text, got)
		}
	}
}
