package link

import (
	"crypto/x509"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/internal/link/linktest"
)

func TestWhoIsOfAList(t *testing.T) {
	for _, c := range []struct {
		list     string
		identity Identity
		name     string // by which it is known; empty for a stranger
	}{
		{"spiffe://td/a", Identity{spiffe: "spiffe://td/a"}, "spiffe://td/a"},
		{"spiffe://td/a", Identity{spiffe: "spiffe://td/a/b"}, ""},
		{"spiffe://td/a", Identity{spiffe: "spiffe://td/A"}, ""},
		{"spiffe://td/a", Identity{spiffe: "spiffe://td2/a"}, ""},
		{"spiffe://td/a/*", Identity{spiffe: "spiffe://td/a/b"}, "spiffe://td/a/b"},
		{"spiffe://td/a/*", Identity{spiffe: "spiffe://td/a/b/c"}, "spiffe://td/a/b/c"},
		{"spiffe://td/a/*", Identity{spiffe: "spiffe://td/a"}, ""},
		{"spiffe://td/a/*", Identity{spiffe: "spiffe://td/ab"}, ""},
		{"spiffe://td/a/*", Identity{spiffe: "spiffe://td/ab/c"}, ""},
		{"spiffe://td/*", Identity{spiffe: "spiffe://td/a"}, "spiffe://td/a"},
		{"spiffe://td/*", Identity{spiffe: "spiffe://td"}, ""},
		{"spiffe://td/*", Identity{spiffe: "spiffe://td.evil/a"}, ""},
		{"spiffe://td", Identity{spiffe: "spiffe://td"}, "spiffe://td"},
		{"hub.example", Identity{dns: []string{"hub.example"}}, "hub.example"},
		{"HUB.example", Identity{dns: []string{"hub.example"}}, "hub.example"},
		{"hub.example", Identity{dns: []string{"a.hub.example"}}, ""},
		{"hub.example", Identity{dns: []string{"hub.example.evil"}}, ""},
		{"b.example", Identity{dns: []string{"a.example", "b.example"}}, "b.example"},
		{"a.example b.example", Identity{dns: []string{"b.example", "a.example"}}, "b.example"},
		{"", Identity{spiffe: "spiffe://td/a"}, ""},
		{"", Identity{}, ""},
		{"spiffe://td/* a.example", Identity{}, ""},
	} {
		ids, err := ParseIdentities("followers", strings.Fields(c.list))
		if err != nil {
			t.Fatal(err)
		}
		if name, ok := ids.Find(c.identity); name != c.name || ok != (c.name != "") {
			t.Errorf("[%s]: %+v is known as %q, %t; want %q", c.list, c.identity, name, ok, c.name)
		}
		if ids.Empty() != (c.list == "") {
			t.Errorf("[%s]: empty is %t", c.list, ids.Empty())
		}
	}
}

func TestMistakesInAList(t *testing.T) {
	for text, says := range map[string]string{
		"":                           "empty",
		"*":                          "everybody",
		"spiffe://*":                 "no SPIFFE id",
		"spiffe:///*":                "no SPIFFE id",
		"spiffe://td/a*":             "isn't its last part",
		"spiffe://td/*/b":            "isn't its last part",
		"spiffe://td/*/*":            "isn't its last part",
		"spiffe://td/../a":           "no SPIFFE id",
		"spiffe://td/a/../*":         "no SPIFFE id",
		"spiffe://td/a/./b":          "no SPIFFE id",
		"spiffe://td/a//b":           "no SPIFFE id",
		"spiffe://td/a/":             "no SPIFFE id",
		"spiffe://TD/a":              "no SPIFFE id",
		"spiffe://td:8080/a":         "no SPIFFE id",
		"spiffe://td/a?b":            "no SPIFFE id",
		"spiffe://td/%61":            "no SPIFFE id",
		"spiffe://u@td/a":            "no SPIFFE id",
		"SPIFFE://td/a":              "neither",
		"https://hub.example/":       "neither",
		"*.example":                  "wildcard",
		"10.0.0.1":                   "IP address",
		"::1":                        "IP address",
		"hub.example.":               "letters, digits",
		"-hub.example":               "letters, digits",
		"hub example":                "letters, digits",
		"hub.exämple":                "letters, digits",
		strings.Repeat("a", 64):      "letters, digits",
		strings.Repeat("a.", 130):    "253",
		"CN=hub,O=latchkey":          "neither",
		"cert:spiffe://td/a":         "neither",
		"spiffe://td/a\x00":          "no SPIFFE id",
		"hub.example\nother.example": "neither",
	} {
		ids, err := ParseIdentities("operators", []string{"first.example", text})
		if err == nil || !strings.Contains(err.Error(), says) || !strings.HasPrefix(err.Error(), "operators[1]: ") {
			t.Errorf("%q: %v, want an error of operators[1] that says %q", text, err, says)
		}
		if !ids.Empty() {
			t.Errorf("%q: the list isn't nobody after an error", text)
		}
	}
}

func TestIdentityOfACertificate(t *testing.T) {
	ca := linktest.NewCA(t, "ca")
	for name, c := range map[string]struct {
		leaf linktest.Leaf
		want string
	}{
		"SPIFFE":                          {linktest.Leaf{URIs: []string{"spiffe://td/a"}}, "spiffe://td/a"},
		"SPIFFE before DNS":               {linktest.Leaf{URIs: []string{"spiffe://td/a"}, DNSNames: []string{"a.example"}}, "spiffe://td/a"},
		"DNS":                             {linktest.Leaf{DNSNames: []string{"A.example", "b.example"}}, "a.example"},
		"a URI that isn't of SPIFFE":      {linktest.Leaf{URIs: []string{"https://a.example/"}, DNSNames: []string{"b.example"}}, "b.example"},
		"that alone":                      {linktest.Leaf{URIs: []string{"https://a.example/"}}, ""},
		"two of SPIFFE":                   {linktest.Leaf{URIs: []string{"spiffe://td/a", "spiffe://td/b"}, DNSNames: []string{"a.example"}}, ""},
		"one of SPIFFE and another":       {linktest.Leaf{URIs: []string{"https://a.example/", "spiffe://td/a"}, DNSNames: []string{"a.example"}}, ""},
		"a bad SPIFFE id":                 {linktest.Leaf{URIs: []string{"spiffe://td/../a"}, DNSNames: []string{"a.example"}}, ""},
		"an escaped SPIFFE id":            {linktest.Leaf{URIs: []string{"spiffe://td/%61"}}, ""},
		"the common name counts for none": {linktest.Leaf{CommonName: "a.example"}, ""},
		"a wildcard":                      {linktest.Leaf{DNSNames: []string{"*.example"}}, ""},
		"a wildcard beside a name":        {linktest.Leaf{DNSNames: []string{"*.example", "a.example"}}, "a.example"},
		"nothing":                         {linktest.Leaf{}, ""},
	} {
		got, ok := IdentityOf(ca.Issue(t, c.leaf).Certificate)
		if got.String() != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q, %t; want %q", name, got, ok, c.want)
		}
	}
}

// Whatever a list and a certificate say: an id is let in by its own text, or by
// a beginning of it that ends at a slash, and by nothing else.
func TestOnlyWhatIsWrittenIsLetIn(t *testing.T) {
	id := rapid.StringMatching(`spiffe://(td|te|td\.x)(/(a|ab|b|\.\.|A|%61)){0,3}`)
	rapid.Check(t, func(t *rapid.T) {
		written := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			return id.Draw(t, "id") + rapid.SampledFrom([]string{"", "/*"}).Draw(t, "end")
		}), 0, 3).Draw(t, "list")
		presented := id.Draw(t, "presented")
		ids, err := ParseIdentities("followers", written)
		if err != nil {
			return // of ids that are none
		}
		uri, err := url.Parse(presented)
		if err != nil {
			t.Fatal(err)
		}
		identity, _ := IdentityOf(&x509.Certificate{URIs: []*url.URL{uri}})
		want := false
		for _, w := range written {
			below, wild := strings.CutSuffix(w, "*")
			want = want || w == presented || wild && strings.HasPrefix(presented, below)
		}
		want = want && !strings.Contains(presented, "..") && !strings.Contains(presented, "%")
		if name, ok := ids.Find(identity); ok != want || ok && name != presented {
			t.Fatalf("%v and %s: %q, %t; want %t", written, presented, name, ok, want)
		}
	})
}
