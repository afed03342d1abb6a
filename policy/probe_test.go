package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/policy"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

// Where two policies answer all probes alike, they answer every request alike.
func TestProbesMissNothing(t *testing.T) {
	segment := rapid.SampledFrom([]string{"a", "b", "x", "*", "{p}", "**"})
	method := rapid.SampledFrom([]string{"GET", "POST", "*", "HEAD", "GET,PUT"})
	route := func(r *rapid.T) string {
		path := ""
		for n := rapid.IntRange(1, 3).Draw(r, "segments"); n > 0; n-- {
			s := segment.Draw(r, "segment")
			if s == "{p}" {
				s = fmt.Sprintf("{p%d}", n)
			}
			if path += "/" + s; s == "**" {
				break
			}
		}
		return method.Draw(r, "method") + " " + path
	}
	// Two endpoints, so that policies with different routes may well answer alike.
	compiled := func(r *rapid.T, routes [2][]string) *policy.Policy {
		var text []string
		for i, list := range routes {
			if len(list) > 0 {
				text = append(text, fmt.Sprintf("endpoints { name: %q scopes: %q", fmt.Sprint("E", i), "read"))
				for _, one := range list {
					text = append(text, fmt.Sprintf("routes: %q", one))
				}
				text = append(text, "}")
			}
		}
		doc := &policyv1.Policy{}
		if err := prototext.Unmarshal([]byte(strings.Join(append([]string{named, hasOrg, hasScopes, hasType}, text...), "\n")), doc); err != nil {
			r.Fatal(err)
		}
		p, err := policy.Compile(doc)
		if err != nil {
			r.Skip("the routes clash")
		}
		return p
	}
	name := func(p *policy.Policy, method, path string) string {
		if r := p.Match(method, path); r != nil {
			return r.Endpoint.Name
		}
		return ""
	}
	alike := 0
	rapid.Check(t, func(r *rapid.T) {
		var routes [2][]string
		for range rapid.IntRange(1, 4).Draw(r, "routes") {
			i := rapid.IntRange(0, 1).Draw(r, "endpoint")
			routes[i] = append(routes[i], route(r))
		}
		a := compiled(r, routes)
		i := rapid.IntRange(0, 1).Draw(r, "endpoint")
		if n := len(routes[i]); n > 0 && rapid.Bool().Draw(r, "without the last") {
			routes[i] = routes[i][:n-1]
		} else {
			routes[i] = append(slices.Clone(routes[i]), route(r))
		}
		b := compiled(r, routes)
		for _, probe := range policy.Probes(a, b) {
			if name(a, probe.Method, probe.Path) != name(b, probe.Method, probe.Path) {
				return
			}
		}
		alike++
		words := []string{"a", "b", "x", "y"}
		var paths []string
		var grow func(prefix string, left int)
		grow = func(prefix string, left int) {
			for _, w := range words {
				paths = append(paths, prefix+"/"+w)
				if left > 1 {
					grow(prefix+"/"+w, left-1)
				}
			}
		}
		grow("", 4)
		for _, path := range paths {
			for _, m := range strings.Fields("GET HEAD POST PUT PATCH DELETE OPTIONS") {
				if name(a, m, path) != name(b, m, path) {
					r.Fatalf("%s %s: %q and %q, and no probe tells", m, path, name(a, m, path), name(b, m, path))
				}
			}
		}
	})
	if alike == 0 {
		t.Error("no two policies answered alike: the test tests nothing")
	}
}
