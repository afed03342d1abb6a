package policy_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What follows is a second reading of the rules for routes: slow, and written
// from the words alone. It shares nothing with the code under test.

// naiveMatch returns the index of the route that answers, or -1: of those
// that match method and path, the most specific.
func naiveMatch(routes []string, method, path string) int {
	best := -1
	for i, r := range routes {
		if !naiveFits(r, method, path) {
			continue
		}
		if best < 0 || naiveBefore(r, routes[best], method) {
			best = i
		}
	}
	return best
}

func naiveFits(route, method, path string) bool {
	methods, template, _ := strings.Cut(route, " ")
	if naiveMethod(methods, method) == 0 {
		return false
	}
	want, have := naiveSplit(template), naiveSplit(path)
	for i, w := range want {
		if w == "**" { // one or more, none of them empty
			return len(have) > i && !slices.Contains(have[i:], "")
		}
		if i >= len(have) || have[i] == "" {
			return false
		}
		if !naiveParam(w) && w != have[i] {
			return false
		}
	}
	return len(have) == len(want)
}

// naiveMethod says how a route means a method: 3 by name, 2 as HEAD that goes
// with GET, 1 through `*`, 0 not at all.
func naiveMethod(methods, method string) int {
	list := strings.Split(methods, ",")
	switch {
	case methods == "*":
		if slices.Contains(strings.Fields("GET HEAD POST PUT PATCH DELETE OPTIONS"), method) {
			return 1
		}
		return 0
	case slices.Contains(list, method):
		return 3
	case method == "HEAD" && slices.Contains(list, "GET"):
		return 2
	}
	return 0
}

// naiveBefore reports whether route a is more specific than route b, where
// both fit: from the left literal, parameter, `**`; then by the method.
func naiveBefore(a, b, method string) bool {
	methodsA, templateA, _ := strings.Cut(a, " ")
	methodsB, templateB, _ := strings.Cut(b, " ")
	as, bs := naiveSplit(templateA), naiveSplit(templateB)
	for i := range min(len(as), len(bs)) {
		if x, y := naiveRank(as[i]), naiveRank(bs[i]); x != y {
			return x < y
		}
	}
	return naiveMethod(methodsA, method) > naiveMethod(methodsB, method)
}

func naiveRank(segment string) int {
	switch {
	case segment == "**":
		return 2
	case naiveParam(segment):
		return 1
	}
	return 0
}

func naiveParam(segment string) bool { return segment == "*" || strings.HasPrefix(segment, "{") }

func naiveSplit(path string) []string {
	if path == "/" {
		return nil
	}
	return strings.Split(path[1:], "/")
}

// naiveClash: templates equal but for the names of parameters, and one method
// named by both, or `*` in both.
func naiveClash(a, b string) bool {
	methodsA, templateA, _ := strings.Cut(a, " ")
	methodsB, templateB, _ := strings.Cut(b, " ")
	same := slices.EqualFunc(naiveSplit(templateA), naiveSplit(templateB), func(x, y string) bool {
		return x == y || naiveParam(x) && naiveParam(y)
	})
	return same && slices.ContainsFunc(strings.Split(methodsA, ","), func(m string) bool {
		return slices.Contains(strings.Split(methodsB, ","), m)
	})
}

// apartRoutes leaves out what clashes with an earlier one.
func apartRoutes(routes []string) []string {
	var apart []string
	for _, r := range routes {
		if !slices.ContainsFunc(apart, func(o string) bool { return naiveClash(o, r) }) {
			apart = append(apart, r)
		}
	}
	return apart
}

var someMethods = rapid.SampledFrom([]string{"*", "*", "GET", "GET", "HEAD", "POST", "GET,POST", "HEAD,PUT", "OPTIONS,GET", "PURGE"})

// someRoute draws routes from few words, so that they meet often.
var someRoute = rapid.Custom(func(t *rapid.T) string {
	route := someMethods.Draw(t, "methods") + " "
	n := rapid.IntRange(0, 4).Draw(t, "segments")
	for i := range n {
		words := []string{"a", "a", "b", "{p" + string(rune('0'+i)) + "}", "{q" + string(rune('0'+i)) + "}", "*"}
		if i == n-1 {
			words = append(words, "**", "**")
		}
		route += "/" + rapid.SampledFrom(words).Draw(t, "segment")
	}
	if n == 0 {
		route += "/"
	}
	return route
})

var somePath = rapid.Custom(func(t *rapid.T) string {
	path := ""
	for _, s := range rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 5).Draw(t, "segments") {
		path += "/" + s
	}
	if path == "" || rapid.IntRange(0, 9).Draw(t, "slash") == 0 {
		path += "/"
	}
	return path
})

var requestMethods = []string{"GET", "HEAD", "POST", "PUT", "OPTIONS", "PURGE", "CONNECT", "get", ""}

func TestMatchAgreesWithTheWords(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		routes := apartRoutes(rapid.SliceOfN(someRoute, 1, 12).Draw(r, "routes"))
		p := routed(t, routes...)
		shuffled := rapid.Permutation(routes).Draw(r, "shuffled")
		other := routed(t, shuffled...)
		for _, path := range rapid.SliceOfN(somePath, 20, 20).Draw(r, "paths") {
			for _, method := range requestMethods {
				want := ""
				if i := naiveMatch(routes, method, path); i >= 0 {
					want = routes[i]
				}
				if got := matched(p, method, path); got != want {
					r.Fatalf("%s %s with %q: got %q, the words say %q", method, path, routes, got, want)
				}
				if got := matched(other, method, path); got != want {
					r.Fatalf("%s %s with the same routes as %q: got %q, want %q", method, path, shuffled, got, want)
				}
			}
		}
	})
}

func TestClashesAgreeWithTheWords(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		routes := rapid.SliceOfN(someRoute, 2, 5).Draw(r, "routes")
		found := problems(t, named, hasOrg, hasScopes, hasType, endpoints(routes))
		var want, got []string
		for i, route := range routes {
			earlier := apartRoutes(routes[:i])
			if slices.ContainsFunc(earlier, func(o string) bool { return naiveClash(o, route) }) {
				want = append(want, route)
			}
		}
		for _, problem := range found {
			if !strings.Contains(problem.Message, "clashes with") {
				r.Fatalf("%q: %s", routes, problem)
			}
			got = append(got, strings.Split(problem.Message, `"`)[1])
		}
		if !slices.Equal(got, want) {
			r.Fatalf("%q: clashes at %q, the words say %q", routes, got, want)
		}
	})
}
