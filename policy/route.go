package policy

import "strings"

// Route is one route of an endpoint.
type Route struct {
	Endpoint *Endpoint
	Text     string // as the policy has it
	params   []param
}

// param is a named parameter and the segment that it stands for.
type param struct {
	name    string
	segment int
}

// Param returns the value of a named parameter in a path that the route matched.
func (r *Route) Param(path, name string) (value string, ok bool) {
	for _, p := range r.params {
		if p.name == name {
			return Segment(path, p.segment), true
		}
	}
	return "", false
}

// node is a place in the tree of templates. A path is walked from the left;
// at each place literals are tried before a parameter before `**`, so that
// the first route that fits path and method is the most specific one.
type node struct {
	literals map[string]*node
	param    *node
	end      leaf // templates that end here
	rest     leaf // templates that end here with `**`
}

// leaf is the routes of one template, by method.
type leaf struct {
	named map[string]*Route
	any   *Route // `*`
}

// anyMethods are the methods that `*` stands for. CONNECT is never one.
var anyMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

func (l leaf) pick(method string) *Route {
	if r := l.named[method]; r != nil {
		return r
	}
	if method == "HEAD" {
		if r := l.named["GET"]; r != nil {
			return r
		}
	}
	if l.any != nil {
		for _, m := range anyMethods {
			if m == method {
				return l.any
			}
		}
	}
	return nil
}

// Match returns the most specific route that matches method and path by
// byte, or nil. The path must be clean (CleanPath). Each node is visited at
// most once, so the work is bounded by the policy and not by the client.
func (p *Policy) Match(method, path string) *Route {
	if path == "/" {
		return p.routes.end.pick(method)
	}
	return p.routes.match(method, path[1:])
}

func (n *node) match(method, rest string) *Route {
	segment, tail, more := strings.Cut(rest, "/")
	if segment == "" {
		return nil // a trailing slash matches nothing
	}
	if next := n.literals[segment]; next != nil {
		if r := next.follow(method, tail, more); r != nil {
			return r
		}
	}
	if n.param != nil {
		if r := n.param.follow(method, tail, more); r != nil {
			return r
		}
	}
	if strings.HasSuffix(rest, "/") {
		return nil
	}
	return n.rest.pick(method)
}

func (n *node) follow(method, tail string, more bool) *Route {
	if !more {
		return n.end.pick(method)
	}
	return n.match(method, tail)
}

// add puts a route at its template's leaf for each of its methods. It
// returns a route that it clashes with: same template, one method in common
// or `*` in both.
func (n *node) add(t template, r *Route) *Route {
	l := n.leafOf(t)
	if t.anyMethod {
		if l.any != nil {
			return l.any
		}
		l.any = r
		return nil
	}
	for _, m := range t.methods {
		if other := l.named[m]; other != nil {
			return other
		}
	}
	if l.named == nil {
		l.named = map[string]*Route{}
	}
	for _, m := range t.methods {
		l.named[m] = r
	}
	return nil
}

func (n *node) leafOf(t template) *leaf {
	for _, s := range t.segments {
		switch {
		case s.rest:
			return &n.rest
		case s.any:
			if n.param == nil {
				n.param = &node{}
			}
			n = n.param
		default:
			next := n.literals[s.literal]
			if next == nil {
				next = &node{}
				if n.literals == nil {
					n.literals = map[string]*node{}
				}
				n.literals[s.literal] = next
			}
			n = next
		}
	}
	return &n.end
}
