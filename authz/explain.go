package authz

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
)

// Question is a request that somebody asks about.
type Question struct {
	Method     string
	Host       string
	Path       string // with the query
	Headers    []policy.Header
	Token      key.Token         // presented as the policy's first place has it; empty: none but in Headers
	Presented  *Presented        // in place of a token
	Extensions map[string]string // of the Envoy route
}

// Presented is a key that is asked about by its id: it counts as presented by
// its current secret. No facts are those of a key that isn't there.
type Presented struct{ Facts *key.Facts }

// Explanation is a decision and how it came about.
type Explanation struct {
	Verdict  Verdict
	Status   int // of the answer; 200 where it allows
	Steps    []Step
	Identity map[string]string // headers that an allowed request gets
	Required []string          // scopes and permissions of the endpoint
	Held     []string          // scopes of the key, after role and ceiling
	Missing  []string          // what is required and not held
	Cuts     []string          // scopes that the ceiling took from the key, and why
}

// Step is one check of a decision.
type Step struct {
	Check  string
	Passed bool
	Detail string
}

// Explain decides as Check does, by the same code, and says how.
func Explain(v View, q Question, now time.Time) Explanation {
	r := q.request(v)
	t := &trace{}
	d := &decision{view: v, request: r, now: now, presented: q.Presented, trace: t}
	d.decide()
	verdict := d.Verdict
	var a answer
	respond(&a, &verdict, r)
	e := Explanation{Verdict: verdict, Status: 200, Steps: t.steps}
	if a.allows {
		e.Identity = map[string]string{}
		for _, h := range a.headers {
			e.Identity[h.Name] = h.Value
		}
	} else {
		e.Status = a.status
	}
	e.access(d)
	return e
}

// request is the question as a check would read it from Envoy. Its memory is
// its own, so that the explanation may keep all that came of it.
func (q Question) request(v View) *Request {
	r := &Request{method: q.Method, host: q.Host, shown: rendering(q.Path), extensions: q.Extensions}
	r.list(pathHeader, "", q.Path)
	for _, h := range q.Headers {
		r.list(strings.ToLower(h.Name), "", h.Value)
	}
	if q.Token.Reveal() != "" {
		place := policy.Credential{Header: "authorization", Bearer: true}
		if v.Policies != nil {
			if found, ok := v.Policies.Find(q.Host, q.Extensions); ok {
				place = found.Policy.Credentials()[0]
			}
		}
		value := q.Token.Reveal()
		if place.Bearer {
			value = "Bearer " + value
		}
		r.list(place.Header, "", value)
	}
	r.line()
	return r
}

// rendering is a path as Envoy shows it beside the raw one: a '!' for each
// byte that isn't UTF-8.
func rendering(path string) string {
	if utf8.ValidString(path) {
		return path
	}
	b := []byte(path)
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size == 1 {
			b[i] = '!'
		}
		i += size
	}
	return string(b)
}

// access says what the endpoint asks for and what the key holds.
func (e *Explanation) access(d *decision) {
	endpoint := e.Verdict.Endpoint()
	if endpoint == nil {
		return
	}
	p := e.Verdict.Place.Policy
	e.Required = append(p.ScopeNames(endpoint.Scopes), p.PermissionNames(endpoint.Permissions)...)
	if e.Verdict.Key == nil || e.Verdict.Type == nil {
		return
	}
	held := p.Held(e.Verdict.Type, e.Verdict.Key, e.Verdict.Tenant, d.view.Directory)
	e.Held = p.ScopeNames(held.Scopes)
	e.Missing = append(p.ScopeNames(endpoint.Scopes.Minus(held.Scopes)), p.PermissionNames(endpoint.Permissions.Minus(held.Permissions))...)
	creator := p.Holds(e.Verdict.Key.Creator, e.Verdict.Key.Tenant, d.view.Directory)
	for _, scope := range p.ScopeNames(p.Granted(e.Verdict.Type, e.Verdict.Key).Minus(held.Scopes)) {
		why := "does not hold it"
		if lacks := p.PermissionNames(p.Requires(scope).Minus(creator.Permissions)); len(lacks) > 0 {
			why = "lacks " + strings.Join(lacks, ", ")
		}
		e.Cuts = append(e.Cuts, fmt.Sprintf("%s: the creator %s %s in %s", scope, e.Verdict.Key.Creator, why, e.Verdict.Key.Tenant))
	}
}

// trace collects the steps of a decision. A nil trace collects nothing.
type trace struct{ steps []Step }

func (t *trace) step(d *decision, check string, r policy.Reason) {
	s := Step{Check: check, Passed: r == policy.Undecided, Detail: detail(d, check)}
	if !s.Passed {
		s.Detail = strings.TrimSuffix(r.String()+": "+s.Detail, ": ")
	}
	t.steps = append(t.steps, s)
}

// verdict notes the outcomes that no check ends with.
func (t *trace) verdict(d *decision) {
	if t == nil {
		return
	}
	if d.Reason == policy.Public || d.Reason == policy.Preflight {
		t.steps = append(t.steps, Step{Check: "endpoint", Passed: true, Detail: d.Reason.String() + ": " + detail(d, "endpoint")})
	}
}

// detail says what a check found. It is asked right after the check, so it
// sees what the check saw.
func detail(d *decision, check string) string {
	p := d.Place.Policy
	switch check {
	case "store":
		return "no revision yet"
	case "host":
		if p == nil {
			return fmt.Sprintf("no policy claims the host %q", d.request.host)
		}
		if d.Place.Environment != "" {
			return fmt.Sprintf("policy %s, environment %s", p.Name(), d.Place.Environment)
		}
		return "policy " + p.Name()
	case "lease":
		return proven(d.age) + "; allowed is " + bound(d.view.Lease.Limit)
	case "type lease":
		return proven(d.age) + "; allowed is " + bound(d.Type.MaxStaleness) + " for keys of the type " + d.Type.Name
	case "credential":
		return "in " + places(p)
	case "status":
		return fmt.Sprintf("%s is %s", d.Key.ID, d.Key.Status(d.now))
	case "principal":
		return "owner " + d.Key.Principal
	case "tenant status":
		return "owner " + d.Key.Tenant
	case "path":
		return "it could mean different things to different servers"
	case "endpoint":
		if d.Route == nil {
			return fmt.Sprintf("no route matches %q and this path", d.request.method)
		}
		return fmt.Sprintf("%s, by the route %s", d.Route.Endpoint.Name, d.Route.Text)
	case "environment":
		return fmt.Sprintf("key %q, request %q", d.Key.Environment, d.Place.Environment)
	case "key type":
		return fmt.Sprintf("%s on %s", d.Type.Name, d.Route.Endpoint.Name)
	case "scopes":
		return sets(p.ScopeNames(d.Route.Endpoint.Scopes), p.ScopeNames(d.Held.Scopes))
	case "permissions":
		return sets(p.PermissionNames(d.Route.Endpoint.Permissions), p.PermissionNames(d.Held.Permissions))
	case "tenant":
		if d.Tenant != "" {
			return d.Tenant
		}
		if len(d.Tenants) > 0 {
			return "one of " + strings.Join(d.Tenants, ", ")
		}
		if named := d.request.naming(p, d.Route); named.tenant != "" && !named.torn {
			return named.tenant + " is not reached"
		}
		return "none"
	}
	return ""
}

// proven says how old the view is, and bound how old it may be.
func proven(age time.Duration) string {
	if age == never {
		return "never proven to be current"
	}
	return "proven to be current " + age.String() + " ago"
}

func bound(limit time.Duration) string {
	if limit == 0 {
		return "any age"
	}
	return limit.String()
}

func places(p *policy.Policy) string {
	var list []string
	for _, c := range p.Credentials() {
		if c.Bearer {
			list = append(list, c.Header+" (Bearer)")
		} else {
			list = append(list, c.Header)
		}
	}
	slices.Sort(list)
	return strings.Join(list, " or ")
}

func sets(required, held []string) string {
	show := func(list []string) string {
		if len(list) == 0 {
			return "none"
		}
		return strings.Join(list, " ")
	}
	return "required " + show(required) + "; held " + show(held)
}
