package policy_test

import (
	"fmt"
	"strings"
	"testing"
)

// Each row is a sentence about routes: the routes, a request, and the route
// that answers it ("" for none).
func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		says   string
		routes []string
		method string
		path   string
		want   string
	}{
		{"a literal is compared by byte", []string{"GET /v1/members"}, "GET", "/v1/members", "GET /v1/members"},
		{"case counts", []string{"GET /v1/members"}, "GET", "/V1/members", ""},
		{"a longer segment is another one", []string{"GET /v1/members"}, "GET", "/v1/members.", ""},
		{"a shorter segment is another one", []string{"GET /v1/members"}, "GET", "/v1/member", ""},
		{"the whole path counts", []string{"GET /v1/members"}, "GET", "/v1/members/1", ""},
		{"a path that ends early is no match", []string{"GET /v1/members"}, "GET", "/v1", ""},
		{"no match is nothing", []string{"GET /v1/members"}, "GET", "/other", ""},
		{"the root is a path", []string{"GET /"}, "GET", "/", "GET /"},
		{"the root is not the others", []string{"GET /"}, "GET", "/a", ""},
		{"the root is not served by others", []string{"GET /a"}, "GET", "/", ""},

		{"a parameter is one segment", []string{"GET /a/{id}"}, "GET", "/a/b", "GET /a/{id}"},
		{"a parameter is not none", []string{"GET /a/{id}"}, "GET", "/a", ""},
		{"a parameter is not empty", []string{"GET /a/{id}"}, "GET", "/a/", ""},
		{"a parameter is not two", []string{"GET /a/{id}"}, "GET", "/a/b/c", ""},
		{"* is one segment", []string{"GET /a/*"}, "GET", "/a/b", "GET /a/*"},
		{"* is not two", []string{"GET /a/*"}, "GET", "/a/b/c", ""},
		{"* is not none", []string{"GET /a/*"}, "GET", "/a", ""},
		{"a parameter stands anywhere", []string{"GET /{a}/x/{b}"}, "GET", "/1/x/2", "GET /{a}/x/{b}"},
		{"a literal star in a path is text", []string{"GET /a/{id}"}, "GET", "/a/*", "GET /a/{id}"},
		{"two literal stars in a path are one segment", []string{"GET /a/{id}"}, "GET", "/a/**", "GET /a/{id}"},

		{"** is one", []string{"GET /a/**"}, "GET", "/a/b", "GET /a/**"},
		{"** is more", []string{"GET /a/**"}, "GET", "/a/b/c/d", "GET /a/**"},
		{"** is not none", []string{"GET /a/**"}, "GET", "/a", ""},
		{"** after the root is not the root", []string{"GET /**"}, "GET", "/", ""},
		{"** after the root is all else", []string{"GET /**"}, "GET", "/a/b", "GET /**"},
		{"a trailing slash is not **", []string{"GET /a/**"}, "GET", "/a/", ""},
		{"a trailing slash further down is not **", []string{"GET /a/**"}, "GET", "/a/b/", ""},
		{"a trailing slash far down is not **", []string{"GET /**", "GET /a/b/c"}, "GET", "/a/b/c/", ""},
		{"a trailing slash is not a literal's", []string{"GET /a"}, "GET", "/a/", ""},

		{"literal before parameter", []string{"GET /a/{id}", "GET /a/b"}, "GET", "/a/b", "GET /a/b"},
		{"parameter before **", []string{"GET /a/**", "GET /a/{id}"}, "GET", "/a/b", "GET /a/{id}"},
		{"literal before **", []string{"GET /a/**", "GET /a/b"}, "GET", "/a/b", "GET /a/b"},
		{"from the left, the first difference decides", []string{"GET /{x}/b/c", "GET /a/{y}/{z}"}, "GET", "/a/b/c", "GET /a/{y}/{z}"},
		{"a literal on the left beats two on the right, through **", []string{"GET /{x}/b/c", "GET /a/**"}, "GET", "/a/b/c", "GET /a/**"},
		{"what fails on the right is tried on the left", []string{"GET /a/b/x", "GET /a/{p}/c"}, "GET", "/a/b/c", "GET /a/{p}/c"},
		{"and again", []string{"GET /a/b/x", "GET /a/{p}/y", "GET /a/**"}, "GET", "/a/b/c", "GET /a/**"},
		{"a longer tail before a shorter one", []string{"GET /a/**", "GET /a/b/**"}, "GET", "/a/b/c", "GET /a/b/**"},
		{"the specific tail is not its own head", []string{"GET /a/**", "GET /a/b/**"}, "GET", "/a/b", "GET /a/**"},
		{"a more specific route of another method is no match", []string{"POST /a/b", "GET /a/{id}"}, "GET", "/a/b", "GET /a/{id}"},
		{"not even at the tail", []string{"POST /a/b/**", "GET /a/**"}, "GET", "/a/b/c", "GET /a/**"},
		{"specific * before general named", []string{"* /a/b", "GET /a/{id}"}, "GET", "/a/b", "* /a/b"},

		{"a named method before *", []string{"* /a", "GET /a"}, "GET", "/a", "GET /a"},
		{"* takes the rest", []string{"* /a", "GET /a"}, "PUT", "/a", "* /a"},
		{"HEAD goes with GET", []string{"GET /a"}, "HEAD", "/a", "GET /a"},
		{"HEAD goes with GET of a list", []string{"POST,GET /a"}, "HEAD", "/a", "POST,GET /a"},
		{"HEAD goes with GET before *", []string{"* /a", "GET /a"}, "HEAD", "/a", "GET /a"},
		{"named HEAD before GET", []string{"GET /a", "HEAD /a"}, "HEAD", "/a", "HEAD /a"},
		{"GET does not go with HEAD", []string{"HEAD /a"}, "GET", "/a", ""},
		{"HEAD does not go with POST", []string{"POST /a"}, "HEAD", "/a", ""},
		{"a list names each", []string{"PUT,PATCH /a"}, "PATCH", "/a", "PUT,PATCH /a"},
		{"a list names no other", []string{"PUT,PATCH /a"}, "POST", "/a", ""},
		{"methods are compared by byte", []string{"GET /a"}, "get", "/a", ""},
		{"* is in capitals", []string{"* /a"}, "get", "/a", ""},
		{"others only where named", []string{"PURGE /a"}, "PURGE", "/a", "PURGE /a"},
		{"a dash may stand in one", []string{"VERSION-CONTROL /a"}, "VERSION-CONTROL", "/a", "VERSION-CONTROL /a"},
		{"no method is none", []string{"* /a", "GET /a"}, "", "/a", ""},
		{"a method is no list", []string{"GET,POST /a"}, "GET,POST", "/a", ""},
		{"* is no method", []string{"* /a"}, "*", "/a", ""},

		{"gRPC", []string{"POST /demo.v1.Things/Get"}, "POST", "/demo.v1.Things/Get", "POST /demo.v1.Things/Get"},
		{"gRPC by service", []string{"POST /demo.v1.Things/*"}, "POST", "/demo.v1.Things/Get", "POST /demo.v1.Things/*"},
		{"a ! may be literal", []string{"GET /wow!"}, "GET", "/wow!", "GET /wow!"},
		{"all that a segment may hold", []string{"GET /-._~$&'()+,=:@!"}, "GET", "/-._~$&'()+,=:@!", "GET /-._~$&'()+,=:@!"},
		{"three dots are a segment", []string{"GET /..."}, "GET", "/...", "GET /..."},
	} {
		t.Run(tc.says, func(t *testing.T) {
			if got := matched(routed(t, tc.routes...), tc.method, tc.path); got != tc.want {
				t.Errorf("%s %s with routes %q: got %q, want %q", tc.method, tc.path, tc.routes, got, tc.want)
			}
		})
	}
}

func TestAnyMethod(t *testing.T) {
	p := routed(t, "* /a")
	for method, want := range map[string]bool{
		"GET": true, "HEAD": true, "POST": true, "PUT": true, "PATCH": true, "DELETE": true, "OPTIONS": true,
		"CONNECT": false, "TRACE": false, "PURGE": false, "FOO": false, "PROPFIND": false,
	} {
		if got := p.Match(method, "/a") != nil; got != want {
			t.Errorf("* and %s: got %v, want %v", method, got, want)
		}
	}
}

func TestParam(t *testing.T) {
	p := routed(t, "GET /orgs/{org}/*/{item_2}", "GET /tail/{org}/**", "GET /plain")
	for _, tc := range []struct {
		path, name, want string
		ok               bool
	}{
		{"/orgs/o_1/x/i", "org", "o_1", true},
		{"/orgs/o_1/x/i", "item_2", "i", true},
		{"/orgs/o_1/x/i", "item", "", false},
		{"/orgs/o_1/x/i", "", "", false}, // `*` has no name
		{"/tail/o_1/a/b", "org", "o_1", true},
		{"/plain", "org", "", false},
	} {
		r := p.Match("GET", tc.path)
		if r == nil {
			t.Fatalf("%s matches nothing", tc.path)
		}
		if got, ok := r.Param(tc.path, tc.name); got != tc.want || ok != tc.ok {
			t.Errorf("{%s} of %s: got %q %v, want %q %v", tc.name, tc.path, got, ok, tc.want, tc.ok)
		}
	}
}

func TestRouteKnowsItsEndpoint(t *testing.T) {
	p := compile(t, minimal, `endpoints { name: "Other" scopes: ["read", "write"] routes: ["GET /x", "GET /y"] }`)
	for path, want := range map[string]string{"/things": "Things", "/x": "Other", "/y": "Other"} {
		if r := p.Match("GET", path); r == nil || r.Endpoint.Name != want {
			t.Errorf("%s: want the endpoint %q, got %+v", path, want, r)
		}
	}
}

// A tree in which every step has two ways on, and a path that fits all of
// them and fails at the last step: each node is looked at once, whatever the
// client sends, and nothing is allocated for it.
func TestMatchIsBounded(t *testing.T) {
	const depth = 9
	var routes []string
	for ways := range 1 << depth {
		segments := make([]string, depth)
		for i := range segments {
			segments[i] = "a"
			if ways>>i&1 == 1 {
				segments[i] = fmt.Sprintf("{p%d}", i)
			}
		}
		routes = append(routes, "GET /"+strings.Join(segments, "/")+"/end")
	}
	p := routed(t, routes...)
	for _, path := range []string{
		strings.Repeat("/a", depth) + "/other",
		strings.Repeat("/a", 256),
		strings.Repeat("/a", 255) + "/",
	} {
		if r := p.Match("GET", path); r != nil {
			t.Fatalf("%s matched %s", path, r.Text)
		}
		if n := testing.AllocsPerRun(10, func() { p.Match("GET", path) }); n != 0 {
			t.Errorf("%d bytes of path: %v allocations", len(path), n)
		}
	}
	// Without sharing the work of a step, this one would take 2^255 of them.
	long := routed(t, "GET "+strings.Repeat("/a", 255)+"/end", "GET "+pathOf(255)+"/end", "POST /**")
	if r := long.Match("GET", strings.Repeat("/a", 256)); r != nil {
		t.Errorf("matched %s", r.Text)
	}
	if r := long.Match("POST", strings.Repeat("/a", 256)); r == nil {
		t.Error("** does not reach to the last segment that a path may have")
	}
}

func pathOf(params int) string {
	var b strings.Builder
	for i := range params {
		fmt.Fprintf(&b, "/{p%d}", i)
	}
	return b.String()
}
