package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/directory"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

// allNames stands in a list of names for every one that is declared.
const allNames = "all"

// Compile checks a document and returns the policy that it describes. The
// error is Problems: everything that is wrong, each with its place. The
// document must not be changed afterwards.
func Compile(doc *policyv1.Policy) (*Policy, error) {
	var problems Problems
	c := &compiler{doc: doc, root: at{problems: &problems}, p: &Policy{
		name:           doc.GetName(),
		environments:   map[string]*Environment{},
		kinds:          map[string]*TenantKind{},
		types:          map[string]*KeyType{},
		routes:         &node{},
		preflight:      doc.GetPreflight(),
		percentEscapes: doc.GetPercentEscapes(),
	}}
	c.root.understood(doc.ProtoReflect())
	c.root.in("name").name("a policy", doc.GetName(), validSlug, slugForm)
	c.hosts()
	c.names()
	c.tenants()
	c.credentials()
	c.endpoints()
	c.keyTypes()
	c.places()
	c.replies()
	if len(problems) > 0 {
		return nil, problems
	}
	version, err := Version(doc)
	if err != nil {
		return nil, err
	}
	c.p.version = version
	return c.p, nil
}

// Version returns the digest of a document: the same document has the same.
func Version(doc *policyv1.Policy) (string, error) {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(doc)
	if err != nil {
		return "", fmt.Errorf("encoding the policy %q: %w", doc.GetName(), err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8]), nil
}

// compiler turns a document into a policy. Its methods run in the order in
// which Compile calls them: each relies on what the earlier ones declared.
type compiler struct {
	doc  *policyv1.Policy
	p    *Policy
	root at
}

func (c *compiler) hosts() {
	claim1 := func(place at, host, environment string) {
		if err := validHost(host); err != nil {
			place.note("write a name such as api.example.com or *.example.com", "host %q: %v", host, err)
		}
		for _, other := range c.p.claims {
			if other.host == host {
				place.note("take one out", "the host %s stands in this policy twice", host)
			}
		}
		c.p.claims = append(c.p.claims, claim{host, environment})
	}
	for i, host := range c.doc.GetHosts() {
		claim1(c.root.in("hosts", i), host, "")
	}
	place := c.root.in("environments")
	for _, e := range c.doc.GetEnvironments() {
		here := place.in(e.GetName())
		here.name("an environment", e.GetName(), validSlug, slugForm)
		if c.p.environments[e.GetName()] != nil {
			here.note("take one out", "the environment %q stands here twice", e.GetName())
		}
		env := &Environment{Name: e.GetName(), Title: e.GetTitle()}
		if env.Title == "" {
			env.Title = env.Name
		} else {
			here.in("title").name("an environment in replies", env.Title, validTitle, titleForm)
		}
		c.p.environments[env.Name] = env
		for i, host := range e.GetHosts() {
			claim1(here.in("hosts", i), host, env.Name)
		}
	}
	c.p.bound = !slices.ContainsFunc(c.p.claims, func(c claim) bool { return c.environment == "" })
	if len(c.p.claims) == 0 {
		c.root.in("hosts").note("name the hosts that clients use, such as hosts: [api.example.com]", "the policy claims no host")
	}
}

// names declares scopes and permissions, and what scopes imply.
func (c *compiler) names() {
	place := c.root.in("permissions")
	c.p.permissions = c.declare(place, "permission", c.doc.GetPermissions(), func(i int) at { return place.in(i) })
	scopes := c.doc.GetScopes()
	list := make([]string, len(scopes))
	for i, s := range scopes {
		list[i] = s.GetName()
	}
	place = c.root.in("scopes")
	c.p.scopes = c.declare(place, "scope", list, func(i int) at { return place.in(list[i]) })
	c.p.everything = Holder{Scopes: c.p.scopes.all(), Permissions: c.p.permissions.all()}
	c.p.requires = make([]Set, len(c.p.scopes.sorted))
	direct := make([]Set, len(c.p.scopes.sorted))
	for i, name := range c.p.scopes.sorted {
		direct[i] = Set{}.With(i)
		for _, s := range scopes {
			if s.GetName() == name {
				here := place.in(name)
				here.in("requires").known("permission", s.GetRequires(), c.p.permissions.sorted)
				here.in("implies").known("scope", s.GetImplies(), c.p.scopes.sorted)
				c.p.requires[i], _ = setOf(c.p.permissions, s.GetRequires())
				implied, _ := setOf(c.p.scopes, s.GetImplies())
				direct[i] = direct[i].Union(implied)
			}
		}
	}
	// What is implied may imply more: repeat until nothing is added.
	for changed := true; changed; {
		changed = false
		for i, s := range direct {
			if wider := closure(direct, s); wider != s {
				direct[i], changed = wider, true
			}
		}
	}
	c.p.implied = direct
}

func closure(implied []Set, s Set) Set {
	out := s
	s.each(func(i int) { out = out.Union(implied[i]) })
	return out
}

func (c *compiler) declare(place at, what string, list []string, where func(int) at) names {
	n := names{index: map[string]int{}}
	for i, name := range list {
		where(i).name("a "+what, name, validScope, scopeForm+", other than "+allNames)
		if slices.Contains(list[:i], name) {
			where(i).note("take one out", "the %s %q is declared twice", what, name)
			continue
		}
		n.sorted = append(n.sorted, name)
	}
	if len(n.sorted) > maxNames {
		place.note("split the policy by host", "%d %ss are more than the %d that a policy may have", len(n.sorted), what, maxNames)
		n.sorted = n.sorted[:maxNames]
	}
	slices.Sort(n.sorted)
	for i, name := range n.sorted {
		n.index[name] = i
	}
	return n
}

func (c *compiler) tenants() {
	var kinds []string
	for _, k := range c.doc.GetTenants() {
		kinds = append(kinds, k.GetName())
	}
	for i, k := range c.doc.GetTenants() {
		here := c.root.in("tenants", k.GetName())
		here.name("a tenant kind", k.GetName(), validSlug, slugForm)
		if slices.Contains(kinds[:i], k.GetName()) || k.GetName() == ownerPrincipal {
			here.note("give the kind another name", "the kind %q stands here twice, or means principals", k.GetName())
		}
		if k.GetParent() != "" {
			here.in("parent").known("tenant kind", []string{k.GetParent()}, kinds)
		}
		for j, plan := range k.GetPlans() {
			here.in("plans", j).name("a plan", plan, directory.ValidName, nameForm)
		}
		kind := &TenantKind{Name: k.GetName(), Parent: k.GetParent(), Plans: k.GetPlans(), Roles: map[string]*Role{}}
		for _, r := range k.GetRoles() {
			there := here.in("roles", r.GetName())
			there.name("a role", r.GetName(), directory.ValidName, nameForm)
			if kind.Roles[r.GetName()] != nil {
				there.note("take one out", "the role %q stands here twice", r.GetName())
			}
			role := &Role{Name: r.GetName(), Scopes: c.p.closure(c.scopes(there.in("scopes"), r.GetScopes()))}
			there.in("permissions").known("permission", r.GetPermissions(), c.p.permissions.sorted)
			role.Permissions, _ = setOf(c.p.permissions, r.GetPermissions())
			kind.Roles[role.Name] = role
		}
		c.p.kinds[kind.Name] = kind
	}
	// A chain of parents ends: a kind can't stand above itself.
	for _, name := range sortedKeys(c.p.kinds) {
		kind, steps := c.p.kinds[name], 0
		for kind != nil && kind.Parent != "" && steps <= len(c.p.kinds) {
			kind, steps = c.p.kinds[kind.Parent], steps+1
		}
		if steps > len(c.p.kinds) {
			c.root.in("tenants", name, "parent").note("take one parent out", "the parents of the kind %q form a circle", name)
		}
	}
}

// scopes reads a list of scopes, in which `all` alone stands for every one.
func (c *compiler) scopes(place at, list []string) Set {
	if len(list) == 1 && list[0] == allNames {
		if len(c.p.scopes.sorted) == 0 {
			place.note("declare scopes first", "all of no scopes is nothing") // an endpoint would ask for nothing
		}
		return c.p.scopes.all()
	}
	place.known("scope", list, c.p.scopes.sorted)
	set, _ := setOf(c.p.scopes, list)
	return set
}

func (c *compiler) credentials() {
	list := c.doc.GetCredentials()
	if len(list) == 0 {
		c.p.credentials = []Credential{{Header: "authorization", Bearer: true}}
		return
	}
	for i, text := range list {
		place := c.root.in("credentials", i)
		var cred Credential
		if name, scheme, ok := strings.Cut(text, ":"); ok {
			cred = Credential{Header: strings.ToLower(name), Bearer: true}
			if !strings.EqualFold(strings.TrimSpace(scheme), "bearer") {
				place.note("write `Authorization: Bearer`, or the name of another header", "%q is not a place for keys: only the scheme Bearer is known", text)
			}
		} else {
			cred = Credential{Header: strings.ToLower(text)}
		}
		problem := headerProblem(cred.Header)
		if cred.Header == "authorization" && !cred.Bearer {
			problem = "(this header begins with a scheme)"
		}
		if problem != "" {
			place.note("write `Authorization: Bearer`, or a header such as x-api-key", "%q can't hold a key %s", text, problem)
		}
		for _, other := range c.p.credentials {
			if other.Header == cred.Header {
				place.note("take one out", "the header %s is declared twice", cred.Header)
			}
		}
		c.p.credentials = append(c.p.credentials, cred)
	}
}

// headerProblem returns why a policy can't read or set a header of this
// (lower-case) name, or nothing.
func headerProblem(name string) string {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return "(a header's name is made of a-z, 0-9, - and _)"
		}
	}
	switch {
	case name == "" || len(name) > 128:
		return "(a header's name has 1 to 128 characters)"
	case strings.HasPrefix(strings.ReplaceAll(name, "_", "-"), "x-latchkey-"), strings.HasPrefix(name, "x-envoy-"):
		return "(these headers belong to Latchkey and Envoy)"
	case slices.Contains([]string{
		"host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "keep-alive",
		"proxy-connection", "cookie", "set-cookie", "x-request-id", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
	}, name):
		return "(this header has a meaning of its own)"
	}
	return ""
}
