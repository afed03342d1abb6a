package policy_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// muxRoute is a handler that stands for a route.
type muxRoute string

func (muxRoute) ServeHTTP(http.ResponseWriter, *http.Request) {}

// muxPattern writes a route as a pattern of net/http. Every parameter gets a
// name, and `**` is its `{…...}`, of which it also thinks that it may be empty.
func muxPattern(route string) string {
	method, template, _ := strings.Cut(route, " ")
	if method == "*" {
		method = ""
	}
	if template == "/" {
		return method + " /{$}"
	}
	segments := strings.Split(template[1:], "/")
	for i, s := range segments {
		switch {
		case s == "**":
			segments[i] = "{rest...}"
		case naiveParam(s):
			segments[i] = fmt.Sprintf("{p%d}", i)
		}
	}
	return strings.TrimSpace(method + " /" + strings.Join(segments, "/"))
}

// handle registers a route unless the mux finds that it conflicts with
// another: the mux refuses tables in which the order of segments would have
// to decide, and there it can't be asked.
func handle(mux *http.ServeMux, route string) (ok bool) {
	defer func() { ok = recover() == nil }()
	mux.Handle(muxPattern(route), muxRoute(route))
	return true
}

// net/http's own matcher, as a second opinion where it means the same: one
// method a route, no trailing slash, not the root.
func TestMatchAgreesWithServeMux(t *testing.T) {
	asked := 0
	rapid.Check(t, func(r *rapid.T) {
		mux := http.NewServeMux()
		var routes []string
		for _, route := range rapid.SliceOfN(someRoute, 1, 14).Draw(r, "routes") {
			if methods, _, _ := strings.Cut(route, " "); !strings.Contains(methods, ",") && handle(mux, route) {
				routes = append(routes, route)
			}
		}
		if len(routes) == 0 {
			return
		}
		p := routed(t, routes...)
		for _, path := range rapid.SliceOfN(somePath, 20, 20).Draw(r, "paths") {
			if strings.HasSuffix(path, "/") {
				continue
			}
			for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS"} {
				handler, pattern := mux.Handler(httptest.NewRequest(method, path, nil))
				want, ok := handler.(muxRoute)
				switch {
				case ok:
					asked++
				case pattern != "":
					continue // it would send the client to the empty rest of a `**`
				}
				if got := matched(p, method, path); got != string(want) {
					r.Fatalf("%s %s with %q: got %q, net/http says %q", method, path, routes, got, want)
				}
			}
		}
	})
	if asked < 100 {
		t.Errorf("net/http matched only %d requests: it was hardly asked", asked)
	}
}
