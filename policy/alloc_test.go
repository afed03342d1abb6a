package policy_test

import (
	"strings"
	"testing"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/key/mint"
	"github.com/latchkey/latchkey/policy"
)

// What runs for every request, refused ones included, allocates nothing.
func TestNothingIsAllocated(t *testing.T) {
	p := compile(t, named, hasOrg, hasScopes, `percent_escapes: true hosts: "*.demo.example"`,
		`key_types { name: "checked" format: "ck_{secret:32}{checksum}" owner: "org" grantable: "all" }`,
		`key_types { name: "plain" format: "sk_{secret:32}" owner: "org" grantable: "all" }`,
		endpoints([]string{"GET /a/{x}/b", "* /a/**", "POST /a/b/c", "GET /"}))
	policies, err := policy.NewPolicies(p)
	if err != nil {
		t.Fatal(err)
	}
	form, _ := p.Type("checked").Format("")
	checked, err := mint.Token(form, zeros{})
	if err != nil {
		t.Fatal(err)
	}
	pinned := map[string]string{policy.ExtensionPolicy: "demo", policy.ExtensionEnvironment: "live"}
	for what, f := range map[string]func(){
		"a clean path":       func() { p.CleanPath("/a/b/c/d/e/f", false) },
		"escapes":            func() { p.CleanPath("/a/%20/%E2%82%AC/%F0%9F%98%80", false) },
		"a path to refuse":   func() { p.CleanPath("/a/../b", false) },
		"a long path":        func() { p.CleanPath(longPath, true) },
		"a match":            func() { p.Match("HEAD", "/a/x/b") },
		"a match of the end": func() { p.Match("PUT", "/a/x/c/d/e/f") },
		"no match":           func() { p.Match("GET", "/b") },
		"the root":           func() { p.Match("GET", "/") },
		"a parameter":        func() { p.Match("GET", "/a/x/b").Param("/a/x/b", "x") },
		"a host":             func() { policies.Find("api.demo.example", nil) },
		"a host to repair":   func() { policies.Find("API.Demo.Example:8443", nil) },
		"a wildcard":         func() { policies.Find("A.b.C.demo.example:1", nil) },
		"no host":            func() { policies.Find("other.example", nil) },
		"a long host":        func() { policies.Find(longHost, nil) },
		"a pinned policy":    func() { policies.Find("other.example", pinned) },
		"a token":            func() { p.WellFormed(plainToken) },
		"a checked token":    func() { p.WellFormed(checked) },
		"no token":           func() { p.WellFormed(noToken) },
		"a long token":       func() { p.WellFormed(longToken) },
		"a reply":            func() { p.Reply(policy.ScopeMissing) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	if !p.WellFormed(plainToken) || !p.WellFormed(checked) || p.WellFormed(noToken) {
		t.Error("the tokens are not what they are called")
	}
}

var (
	longPath   = strings.Repeat("/a", 256)
	longHost   = strings.Repeat("a", 300) + ".demo.example"
	plainToken = key.NewToken("sk_" + strings.Repeat("a", 32))
	noToken    = key.NewToken("sk_" + strings.Repeat("a", 31) + "-")
	longToken  = key.NewToken("sk_" + strings.Repeat("a", 50_000))
)

// zeros is a source of random bytes that isn't.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
