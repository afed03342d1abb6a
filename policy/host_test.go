package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/policy"
)

// together puts the policies of the given documents in use.
func together(t testing.TB, docs ...string) *policy.Policies {
	t.Helper()
	var all []*policy.Policy
	for _, doc := range docs {
		all = append(all, compile(t, doc, hasOrg, hasScopes, hasRoute))
	}
	ps, err := policy.NewPolicies(all...)
	if err != nil {
		t.Fatal(err)
	}
	return ps
}

const (
	openType  = `key_types { name: "secret" format: "sk_{secret:32}" owner: "org" grantable: "all" }`
	boundType = `key_types { name: "secret" format: "sk_{environment}_{secret:32}" owner: "org" grantable: "all" }`
)

// at writes where a request was sent.
func at(place policy.Place, ok bool) string {
	if !ok {
		return "HOST_UNKNOWN"
	}
	s := place.Policy.Name() + "/" + place.Environment
	if place.Unknown {
		s += "?"
	}
	return s
}

func TestFindByHost(t *testing.T) {
	ps := together(t,
		openType+`name: "exact" hosts: ["api.a.example", "10.0.0.1", "[::1]", "dotted.example.", "single"]`,
		openType+`name: "wild" hosts: ["*.a.example", "*.wild.example", "inner.wild.example"]`,
		openType+`name: "deep" hosts: ["*.deep.wild.example", "very.deep.wild.example"]`,
		openType+`name: "dash" hosts: ["*.b-c_d.example"]`,
	)
	for host, want := range map[string]string{
		"api.a.example":       "exact/",
		"API.A.Example":       "exact/",
		"api.a.example:443":   "exact/",
		"api.a.example:8":     "exact/",
		"api.a.example:65535": "exact/",
		"Api.A.example:0":     "exact/",
		"single":              "exact/",
		"single:80":           "exact/",
		"10.0.0.1":            "exact/",
		"10.0.0.1:80":         "exact/",
		"[::1]":               "exact/",
		"[::1]:80":            "exact/",
		"dotted.example.":     "exact/", // it is listed with its dot
		"dotted.example.:80":  "exact/",

		// Nothing else is repaired.
		"dotted.example":           "HOST_UNKNOWN",
		"api.a.example.":           "HOST_UNKNOWN",
		"api.a.example.:443":       "HOST_UNKNOWN",
		"api.a.example:":           "HOST_UNKNOWN",
		"api.a.example:123456":     "HOST_UNKNOWN",
		"api.a.example:80:80":      "HOST_UNKNOWN",
		"api.a.example:http":       "HOST_UNKNOWN",
		"api.a.example: 80":        "HOST_UNKNOWN",
		"api.a.example:-1":         "HOST_UNKNOWN",
		"api.a.example:80a":        "HOST_UNKNOWN",
		"api.a.example,b.example":  "HOST_UNKNOWN",
		"api.a.example,":           "HOST_UNKNOWN",
		"user@api.a.example":       "HOST_UNKNOWN",
		"user:pw@api.a.example:80": "HOST_UNKNOWN",
		" api.a.example":           "HOST_UNKNOWN",
		"api.a.example ":           "HOST_UNKNOWN",
		"api.a.example/":           "HOST_UNKNOWN",
		"http://api.a.example":     "HOST_UNKNOWN",
		"api.a.example\x00":        "HOST_UNKNOWN",
		"":                         "HOST_UNKNOWN",
		".":                        "HOST_UNKNOWN",
		":":                        "HOST_UNKNOWN",
		":80":                      "HOST_UNKNOWN",
		"80":                       "HOST_UNKNOWN",
		"10.0.0.2":                 "HOST_UNKNOWN",
		"::1":                      "HOST_UNKNOWN",
		"[::1":                     "HOST_UNKNOWN",
		"[::2]:80":                 "HOST_UNKNOWN",
		"other.example":            "HOST_UNKNOWN",
		"example":                  "HOST_UNKNOWN",
		"xsingle":                  "HOST_UNKNOWN",
		"api.a.exampl\u212a":       "HOST_UNKNOWN", // a Kelvin sign is no k
		"\u212aapi.a.example":      "HOST_UNKNOWN",
		"ingle":                    "HOST_UNKNOWN",

		// `*.suffix`: one label or more, the longest suffix, an exact name first.
		"x.a.example":                   "wild/",
		"X.A.EXAMPLE:8080":              "wild/",
		"x.api.a.example":               "wild/",
		"x.y.z.a.example":               "wild/",
		"a.example":                     "HOST_UNKNOWN",
		".a.example":                    "HOST_UNKNOWN",
		"xa.example":                    "HOST_UNKNOWN",
		"x.a.example.":                  "HOST_UNKNOWN",
		"x.a.example.evil":              "HOST_UNKNOWN",
		"inner.wild.example":            "wild/",
		"x.wild.example":                "wild/",
		"deep.wild.example":             "wild/",
		"x.deep.wild.example":           "deep/",
		"x.y.deep.wild.example":         "deep/",
		"very.deep.wild.example":        "deep/",
		"x.very.deep.wild.example":      "deep/",
		"x-1_2.b-c_d.example":           "dash/",
		"*.a.example":                   "HOST_UNKNOWN",
		"x..a.example":                  "HOST_UNKNOWN",
		".x.a.example":                  "HOST_UNKNOWN",
		"..a.example":                   "HOST_UNKNOWN",
		"x y.a.example":                 "HOST_UNKNOWN",
		"x,y.a.example":                 "HOST_UNKNOWN",
		"api.other.example,x.a.example": "HOST_UNKNOWN",
		"u@x.a.example":                 "HOST_UNKNOWN",
		"x:1.a.example":                 "HOST_UNKNOWN",
		"x/y.a.example":                 "HOST_UNKNOWN",
		"x%2e.a.example":                "HOST_UNKNOWN",
		"ä.a.example":                   "HOST_UNKNOWN",
		"x\x80.a.example":               "HOST_UNKNOWN",
		"[::1].a.example":               "HOST_UNKNOWN",
		// A label that isn't plain is not tried with a shorter suffix either.
		"x y.deep.wild.example": "HOST_UNKNOWN",
	} {
		if got := at(ps.Find(host, nil)); got != want {
			t.Errorf("%q: got %s, want %s", host, got, want)
		}
	}
}

// A host is as long as a name can be, with its port, and no longer.
func TestFindLongHosts(t *testing.T) {
	ps := together(t, openType+`name: "wild" hosts: "*.a.example"`)
	for _, tc := range []struct {
		length int
		want   string
	}{{253, "wild/"}, {256, "wild/"}, {257, "HOST_UNKNOWN"}, {5000, "HOST_UNKNOWN"}} {
		host := strings.Repeat("x", tc.length-len(".a.example")) + ".a.example"
		if got := at(ps.Find(host, nil)); got != tc.want {
			t.Errorf("%d bytes: got %s, want %s", tc.length, got, tc.want)
		}
	}
}

// Every byte in the place of a wildcard's label.
func TestWildcardStandsForPlainLabels(t *testing.T) {
	ps := together(t, openType+`name: "wild" hosts: "*.a.example"`)
	plain := "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	for b := range 256 {
		c := string([]byte{byte(b)})
		ok := strings.Contains(plain, c)
		for host, want := range map[string]bool{
			c + ".a.example":             ok,
			c + "x.a.example":            ok,
			"x" + c + ".a.example":       ok,
			"x" + c + "y.z.a.example":    ok || c == ".",
			"x.y" + c + "y.a.example":    ok || c == ".",
			"x.y.a" + c + "example":      c == ".",
			"x.y.a.example" + c:          false,
			"x.y.a.example" + c + "8443": c == ":",
		} {
			if _, got := ps.Find(host, nil); got != want {
				t.Errorf("%q: got %v, want %v", host, got, want)
			}
		}
	}
}

func TestPoliciesByName(t *testing.T) {
	ps := together(t, openType+`name: "b" hosts: "b.example"`, openType+`name: "c" hosts: "c.example"`, openType+`name: "a" hosts: "a.example"`)
	names := ps.Names()
	if got := fmt.Sprint(names); got != "[a b c]" {
		t.Errorf("names: %s", got)
	}
	names[0] = "changed"
	if got := fmt.Sprint(ps.Names()); got != "[a b c]" {
		t.Errorf("the names could be changed: %s", got)
	}
	if p := ps.Get("b"); p == nil || p.Name() != "b" {
		t.Errorf("Get(b) is %v", p)
	}
	if p := ps.Get("d"); p != nil {
		t.Errorf("Get(d) is %v", p)
	}
	none, err := policy.NewPolicies()
	if err != nil {
		t.Fatal(err)
	}
	if got := at(none.Find("a.example", nil)); got != "HOST_UNKNOWN" || len(none.Names()) != 0 {
		t.Errorf("no policies: %s", got)
	}
}

func TestPoliciesThatCantBeTogether(t *testing.T) {
	one := func(doc string) *policy.Policy { return compile(t, doc, openType, hasOrg, hasScopes, hasRoute) }
	bound := func(doc string) *policy.Policy { return compile(t, doc, boundType, hasOrg, hasScopes, hasRoute) }
	for _, tc := range []struct {
		name string
		all  []*policy.Policy
		want string
	}{
		{
			"one name",
			[]*policy.Policy{one(`name: "a" hosts: "a.example"`), one(`name: "a" hosts: "b.example"`)},
			`two policies are called "a": give each its own name`,
		},
		{
			"one host",
			[]*policy.Policy{one(`name: "a" hosts: "x.example"`), one(`name: "b" hosts: ["b.example", "x.example"]`)},
			`the policies "a" and "b" both claim the host x.example: a host belongs to one policy`,
		},
		{
			"one wildcard",
			[]*policy.Policy{one(`name: "a" hosts: "*.x.example"`), one(`name: "b" hosts: "*.x.example"`)},
			`the policies "a" and "b" both claim the host *.x.example: a host belongs to one policy`,
		},
		{
			"one host of an environment",
			[]*policy.Policy{
				bound(`name: "a" environments { name: "live" hosts: "x.example" }`), one(`name: "b" hosts: "x.example"`),
			},
			`the policies "a" and "b" both claim the host x.example: a host belongs to one policy`,
		},
	} {
		if ps, err := policy.NewPolicies(tc.all...); err == nil || err.Error() != tc.want || ps != nil {
			t.Errorf("%s: got %v", tc.name, err)
		}
	}
	for _, apart := range [][]*policy.Policy{
		{one(`name: "a" hosts: "x.example"`), one(`name: "b" hosts: "*.x.example"`)},
		{one(`name: "a" hosts: "*.x.example"`), one(`name: "b" hosts: "*.y.x.example"`)},
		{one(`name: "a" hosts: "y.x.example"`), one(`name: "b" hosts: "*.x.example"`)},
	} {
		if _, err := policy.NewPolicies(apart...); err != nil {
			t.Errorf("claims that differ: %v", err)
		}
	}
}
