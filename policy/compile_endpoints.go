package policy

import (
	"slices"
	"strconv"
	"strings"

	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

func (c *compiler) endpoints() {
	place := c.root.in("endpoints")
	for _, doc := range c.doc.GetEndpoints() {
		here := place.in(doc.GetName())
		here.name("an endpoint", doc.GetName(), validTitle, titleForm)
		if slices.ContainsFunc(c.p.endpoints, func(e *Endpoint) bool { return e.Name == doc.GetName() }) {
			here.note("take one out", "the endpoint %q stands here twice", doc.GetName())
		}
		e := &Endpoint{
			Name:        doc.GetName(),
			Scopes:      c.scopes(here.in("scopes"), doc.GetScopes()),
			NeedsTenant: doc.GetTenant() == policyv1.Tenancy_TENANCY_REQUIRED,
			NoTenant:    doc.GetTenant() == policyv1.Tenancy_TENANCY_NONE,
			Public:      doc.GetPublic(),
			index:       len(c.p.endpoints),
		}
		here.in("permissions").known("permission", doc.GetPermissions(), c.p.permissions.sorted)
		e.Permissions, _ = setOf(c.p.permissions, doc.GetPermissions())
		c.p.endpoints = append(c.p.endpoints, e)
		switch asks := len(doc.GetScopes())+len(doc.GetPermissions()) > 0 || e.NeedsTenant; {
		case e.Public && asks:
			here.in("public").note("take out `public`, or what it asks for", "no key is read at a public endpoint, so it can ask for nothing")
		case !e.Public && len(doc.GetScopes()) == 0:
			here.note("name its scopes, or write public: true", "it asks for no scope, so that every key would open it")
		}
		if len(doc.GetRoutes()) == 0 {
			here.note("give it routes, such as GET /v1/things/{id}", "it has no routes")
		}
		for i, text := range doc.GetRoutes() {
			c.route(here.in("routes", i), e, text)
		}
	}
	if len(c.p.endpoints) == 0 {
		place.note("declare what its keys open", "the policy has no endpoints")
	}
}

func (c *compiler) route(place at, e *Endpoint, text string) {
	t, err := parseTemplate(text)
	if err != nil {
		place.note("write a route such as GET /v1/things/{id}", "route %q: %v", text, err)
		return
	}
	r := &Route{Endpoint: e, Text: text}
	for i, s := range t.segments {
		if s.param != "" {
			r.params = append(r.params, param{s.param, i})
		}
	}
	if other := c.p.routes.add(t, r); other != nil {
		place.note("take one out, or name different methods",
			"route %q clashes with %q of the endpoint %q: one request would fit both", text, other.Text, other.Endpoint.Name)
	}
}

// places reads where a request may name a tenant.
func (c *compiler) places() {
	params := c.params()
	for _, k := range c.doc.GetTenants() {
		for i, text := range k.GetNamedBy() {
			place := c.root.in("tenants", k.GetName(), "named_by", i)
			where, name, _ := strings.Cut(text, " ")
			p := TenantPlace{Name: name, Kind: k.GetName()}
			switch where {
			case "header":
				p.In, p.Name = InHeader, strings.ToLower(name)
				if problem := headerProblem(p.Name); problem != "" {
					place.note("use a header such as x-tenant-id", "the header %q can't name a tenant %s", name, problem)
				}
				for _, cred := range c.p.credentials {
					if cred.Header == p.Name {
						place.note("use another header", "the header %s holds keys", p.Name)
					}
				}
			case "path":
				p.In = InPath
				if !slices.Contains(params, name) {
					place.note(Nearest(name, params), "no route has a parameter {%s}", name)
				}
			case "query":
				p.In = InQuery
				if !validParam(name) {
					place.note("use a-z, 0-9 and _", "%q can't name a query parameter", name)
				}
			default:
				place.note("write `header NAME`, `path PARAMETER` or `query PARAMETER`", "%q is no place in a request", text)
				continue
			}
			for _, other := range c.p.places {
				if other.In == p.In && other.Name == p.Name {
					place.note("use another place for one of them", "this place names tenants of the kind %q already", other.Kind)
				}
			}
			c.p.places = append(c.p.places, p)
		}
	}
}

// params returns the names of all path parameters, sorted.
func (c *compiler) params() []string {
	var all []string
	for _, e := range c.doc.GetEndpoints() {
		for _, text := range e.GetRoutes() {
			t, err := parseTemplate(text)
			if err != nil {
				continue
			}
			for _, s := range t.segments {
				if s.param != "" && !slices.Contains(all, s.param) {
					all = append(all, s.param)
				}
			}
		}
	}
	slices.Sort(all)
	return all
}

// replyDefault is the reply that others fall back on.
const replyDefault = "default"

// replies prepares the answer to every reason: its own reply over its
// status's over the default one over RFC 9457.
func (c *compiler) replies() {
	place := c.root.in("replies")
	byName, noted := map[string]*policyv1.Reply{}, map[string]bool{}
	known := []string{replyDefault, "401", "403", "503"}
	for _, r := range Reasons() {
		if !r.Allows() {
			known = append(known, r.String())
		}
	}
	for _, doc := range c.doc.GetReplies() {
		here := place.in(doc.GetName())
		for name := range strings.SplitSeq(doc.GetName(), ",") {
			name = strings.TrimSpace(name)
			if !slices.Contains(known, name) {
				here.note(Nearest(name, known), "%q is no reason, no status and not `default`", name)
			} else if byName[name] != nil {
				here.note("say it once", "the reply to %s is given twice", name)
			}
			byName[name] = doc
		}
		seen := map[string]bool{}
		for _, header := range sortedKeys(doc.GetHeaders()) {
			there := here.in("headers", header)
			c.replyHeader(there, header, doc.GetHeaders()[header])
			if seen[strings.ToLower(header)] {
				there.note("say it once", "the header %s is set twice", strings.ToLower(header))
			}
			seen[strings.ToLower(header)] = true
		}
		// By itself, so that a mistake is told once and where it stands, and
		// not for each reason that inherits it.
		if _, err := buildReply(Undecided, replySpec{}.over(doc)); err != nil {
			here.note("", "%v", err)
			noted[err.Error()] = true
		}
	}
	for _, r := range append(Reasons(), Undecided) {
		if r.Allows() {
			continue
		}
		var spec replySpec
		where := place
		for _, name := range []string{replyDefault, strconv.Itoa(r.Status()), r.String()} {
			if doc := byName[name]; doc != nil {
				spec, where = spec.over(doc), place.in(doc.GetName())
				if s := int(doc.GetStatus()); s != 0 && s/100 != r.Status()/100 && !noted["status of "+doc.GetName()] {
					noted["status of "+doc.GetName()] = true
					where.in("status").note("stay in the reason's class: 4xx for a refusal, 503 and its like for an outage", "%s can't be answered with %d", r, s)
				}
			}
		}
		reply, err := buildReply(r, spec)
		if err != nil {
			if !noted[err.Error()] {
				where.note("", "the reply to %s: %v", r, err)
				noted[err.Error()] = true
			}
			continue
		}
		c.p.replies[r] = reply
	}
}

func (c *compiler) replyHeader(place at, name, value string) {
	problem := headerProblem(strings.ToLower(name))
	switch strings.ToLower(name) {
	case "www-authenticate", "cache-control", "retry-after":
		problem = "(Latchkey sets it as RFC 6750 and RFC 9110 ask)"
	}
	if problem != "" {
		place.note("use another header", "a reply can't set %q %s", name, problem)
	}
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			place.note("use printable ASCII", "the value of a header can't hold byte %#x", value[i])
			return
		}
	}
}
