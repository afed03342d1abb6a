package oracle

import "strings"

const (
	maxPath     = 8 << 10
	maxSegments = 256
	plainPath   = base62 + "-._~$&'()*+,=:@"
)

// segmentsOf splits a path that means one thing to every server; ok is false
// for all others. "/a/b" is a, b; a trailing slash leaves an empty last
// segment, which no route has.
//
// Choice: the limits count the part before the query. A raw :path that is clean
// and yet another path than the one Envoy decoded is not one meaning.
func segmentsOf(r Request) (segments []string, ok bool) {
	path, _, _ := strings.Cut(r.Path, "?")
	alphabet := plainPath
	if r.RawPath != nil {
		raw, _, _ := strings.Cut(*r.RawPath, "?")
		if raw != path {
			return nil, false
		}
		alphabet += "!" // it is really there, not a replaced byte
	}
	if path == "" || path[0] != '/' || len(path) > maxPath {
		return nil, false
	}
	segments = strings.Split(path[1:], "/")
	if len(segments) > maxSegments {
		return nil, false
	}
	for i, s := range segments {
		last := i == len(segments)-1
		if s == "." || s == ".." || (s == "" && !last) || !onlyBytes(s, alphabet) {
			return nil, false
		}
	}
	return segments, true
}

// access is what an endpoint asks for.
type access struct {
	known      bool     // some route matches
	types      []string // the key types that can ever reach it
	scope      string   // what the key must hold
	permission string   // what its creator must hold besides
	tenant     string   // the tenant that the path names, whole; "" for none
	tenantless bool     // needs no tenant
}

// standardMethod says whether "all methods" includes this one.
func standardMethod(method string) bool {
	return contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}, method)
}

func isRead(method string) bool { return method == "GET" || method == "HEAD" }

// accessOf finds the endpoint. A segment is never empty, so a path with a
// trailing slash is no endpoint.
func accessOf(policy, method string, segments []string) access {
	if !standardMethod(method) || contains(segments, "") {
		return access{}
	}
	switch policy {
	case "kodey":
		return kodeyAccess(method, segments)
	case "cuneiform":
		return cuneiformAccess(method, segments)
	case "spotzee":
		return spotzeeAccess(method, segments)
	case "shortkit":
		return shortkitAccess(method, segments)
	}
	return access{}
}
