package policy_test

import (
	"encoding/json"
	"errors"
	"path"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/key/mint"
	"github.com/latchkey/latchkey/policy"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

// encoded is a document as it is stored.
func encoded(f *testing.F, parts ...string) []byte {
	f.Helper()
	raw, err := proto.Marshal(document(f, parts...))
	if err != nil {
		f.Fatal(err)
	}
	return raw
}

// FuzzCompile gives Compile any bytes that are a document. It says what is
// wrong or returns a policy that answers whatever it is asked.
func FuzzCompile(f *testing.F) {
	for _, doc := range []string{"", minimal, whole, accessible, environments, formed("k_{secret:40 urlsafe}{checksum}", `former_formats: "sf_x{secret:38}"`)} {
		f.Add(encoded(f, doc), "GET", "/things/a/../%20", "sk_"+some(32), "api.demo.example:80")
	}
	for _, table := range mistakes {
		for _, tc := range table {
			f.Add(encoded(f, tc.doc), "HEAD", "/a", "k", "h")
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, method, requestPath, token, host string) {
		doc := &policyv1.Policy{}
		if len(raw) > 1<<14 || proto.Unmarshal(raw, doc) != nil {
			return
		}
		p, err := policy.Compile(doc)
		if err != nil {
			var found policy.Problems
			if p != nil || !errors.As(err, &found) || len(found) == 0 {
				t.Fatalf("%v beside %v", p, err)
			}
			for _, problem := range found {
				// Only what a newer version wrote on top of a document has no place in it.
				whole := len(doc.ProtoReflect().GetUnknown()) > 0 && strings.Contains(problem.Remedy, "newer version")
				if len(problem.Path) == 0 && !whole || problem.Message == "" {
					t.Errorf("a problem without a place or a message: %+v", problem)
				}
			}
			return
		}
		ask(t, p, method, requestPath, token, host)
		again := &policyv1.Policy{}
		if text, err := prototext.Marshal(doc); err != nil || prototext.Unmarshal(text, again) != nil {
			t.Fatal("the document can't be written as text")
		}
		if q, err := policy.Compile(again); err != nil || q.Name() != p.Name() {
			t.Fatalf("compiled again: %v", err)
		}
	})
}

// ask asks a policy all that a request asks, and holds what is always true.
func ask(t *testing.T, p *policy.Policy, method, requestPath, token, host string) {
	t.Helper()
	for _, verbatim := range []policy.Verbatim{raw, rendered} {
		if p.CleanPath(requestPath, verbatim) {
			p.Match(method, requestPath)
		}
	}
	for _, probe := range []string{"/", "/a", "/a/", "/a/b/c"} {
		if r := p.Match(method, probe); r != nil && r.Endpoint == nil {
			t.Errorf("%s %s: a route without an endpoint", method, probe)
		}
	}
	presented := key.NewToken(token)
	fits := false
	for _, name := range p.Types() {
		_, _, ok := p.FormatOf(p.Type(name), presented)
		fits = fits || ok
		for _, e := range p.Endpoints() {
			p.Type(name).Opens(e)
		}
	}
	if p.WellFormed(presented) != fits {
		t.Errorf("%q is well formed: %v, and of a type: %v", token, !fits, fits)
	}
	for _, e := range p.Endpoints() {
		if !e.Public && e.Scopes.Empty() {
			t.Errorf("every key opens the endpoint %q", e.Name)
		}
	}
	facts := policy.Facts{RequestID: token, KeyEnvironment: method, RequestEnvironment: host}
	for _, r := range policy.Reasons() {
		reply := p.Reply(r)
		if (reply == nil) != r.Allows() {
			t.Fatalf("%s: the reply is %v", r, reply)
		}
		if reply == nil {
			continue
		}
		if !json.Valid([]byte(reply.Body(facts))) {
			t.Errorf("%s: the body is not JSON: %s", r, reply.Body(facts))
		}
		if reply.Status/100 != r.Status()/100 {
			t.Errorf("%s is answered with %d", r, reply.Status)
		}
		for _, h := range reply.Headers(policy.Facts{}) {
			if strings.ContainsFunc(h.Name+h.Value, func(c rune) bool { return c < ' ' || c > '~' }) {
				t.Errorf("%s: the header %q", r, h)
			}
		}
	}
	ps, err := policy.NewPolicies(p)
	if err != nil {
		t.Fatal(err)
	}
	if place, ok := ps.Find(host, nil); ok && place.Policy != p {
		t.Errorf("%q is of %v", host, place.Policy)
	}
	for _, h := range p.Hosts() {
		if _, ok := ps.Find(strings.Replace(h, "*", "x", 1)+":8443", nil); !ok && len(h) <= 250 {
			t.Errorf("the host %s is claimed and not found", h)
		}
	}
}

// FuzzPath gives a policy any path. A clean one is its own normal form: no
// server that cleans, or decodes, finds another path in it.
func FuzzPath(f *testing.F) {
	for _, s := range []string{
		"/", "/a", "/a/", "//a", "/a/../b", "/a/./b", "/a/%2e%2e/b", "/a/..;/b", `/a\b`, "/a%20b", "/%C3%A9", "/%c0%ae", "/a!b", "/.../x", "/a//",
		"/%ef%bf%bd", "/a%2Fb", "/%F0%9F%98%80", "/a/b/..", "*", "", "/a?b", "/a#b", strings.Repeat("/a", 257), "/orgs/x/%00",
	} {
		f.Add("GET", s, true)
		f.Add("HEAD", s, false)
	}
	routes := []string{"GET /{a}/{b}", "* /**", "GET /a/**", "POST /a/b", "GET /", "HEAD,PUT /a/{x}/c"}
	strict := compile(f, named, hasOrg, hasScopes, hasType, endpoints(routes))
	lenient := compile(f, named, hasOrg, hasScopes, hasType, endpoints(routes), "percent_escapes: true")
	f.Fuzz(func(t *testing.T, method, s string, sent bool) {
		clean := lenient.CleanPath(s, policy.Verbatim(sent))
		if strict.CleanPath(s, policy.Verbatim(sent)) != (clean && !strings.Contains(s, "%")) {
			t.Errorf("%q: escapes are not all that sets the policies apart", s)
		}
		if clean && !lenient.CleanPath(s, raw) {
			t.Errorf("%q is clean as Envoy renders it and not as it was sent", s)
		}
		if !clean {
			return
		}
		if tidy := path.Clean(s); s != tidy && s != tidy+"/" {
			t.Errorf("%q is clean, and its normal form is %q", s, tidy)
		}
		plain := unescaped(s)
		if tidy := path.Clean(plain); plain != tidy && plain != tidy+"/" {
			t.Errorf("%q is clean, and decoded its normal form is %q", s, tidy)
		}
		if strings.Count(plain, "/") != strings.Count(s, "/") || strings.ContainsAny(plain, "\\%;\x00\r\n\t\x7f") || !json.Valid([]byte(`"`+strings.ReplaceAll(plain, `"`, "")+`"`)) {
			t.Errorf("%q is clean, and decoded it is %q", s, plain)
		}
		for i, segment := range strings.Split(s[1:], "/") {
			if got := policy.Segment(s, i); got != segment {
				t.Errorf("segment %d of %q is %q", i, s, got)
			}
		}
		want := ""
		if i := naiveMatch(routes, method, s); i >= 0 {
			want = routes[i]
		}
		if got := matched(lenient, method, s); got != want {
			t.Errorf("%s %q: got %q, the words say %q", method, s, got, want)
		}
	})
}

// unescaped decodes percent escapes as a server would.
func unescaped(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' {
			const digits = "0123456789abcdef"
			hex := strings.ToLower(s[i+1 : i+3])
			b.WriteByte(byte(strings.IndexByte(digits, hex[0])<<4 | strings.IndexByte(digits, hex[1])))
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// FuzzFormat gives a key type any format. One that is taken mints tokens that
// are its own, and no other text of another length is.
func FuzzFormat(f *testing.F) {
	for _, tc := range formatMistakes {
		f.Add(document(f, tc.doc).GetKeyTypes()[0].GetFormat(), "sk_"+some(32), strings.Contains(tc.doc, living))
	}
	f.Fuzz(func(t *testing.T, format, token string, bound bool) {
		doc := document(t, named, hasOrg, hasScopes, hasRoute, `key_types { name: "k" owner: "org" scopes: "read" }`)
		environment := ""
		if bound {
			environment = "live"
			doc.Environments = []*policyv1.Environment{{Name: environment}}
		}
		doc.KeyTypes[0].Format = strings.ToValidUTF8(format, "?")
		p, err := policy.Compile(doc)
		if err != nil {
			for _, problem := range err.(policy.Problems) {
				if strings.Join(problem.Path, ".") != "key_types.k.format" || problem.Remedy == "" {
					t.Errorf("%q: %s", format, problem)
				}
			}
			return
		}
		form, ok := p.Type("k").Format(environment)
		if !ok {
			t.Fatalf("%q has no form", format)
		}
		if form.Prefix == "" || form.SecretLength < key.MinMintLength || form.Length() > key.MaxTokenLength {
			t.Errorf("%q: %+v", format, form)
		}
		minted, err := mint.Token(form, zeros{})
		if err != nil {
			t.Fatal(err)
		}
		if !p.WellFormed(minted) {
			t.Errorf("%q: what it mints is not well formed", format)
		}
		text := minted.Reveal()
		for _, other := range []string{text[1:], text[:len(text)-1], text + "0", "0" + text, text + text} {
			if p.WellFormed(key.NewToken(other)) {
				t.Errorf("%q: a token of another length is well formed", format)
			}
		}
		if p.WellFormed(key.NewToken(token)) && (len(token) != form.Length() || !strings.HasPrefix(token, form.Prefix)) {
			t.Errorf("%q: %q is well formed", format, token)
		}
	})
}
