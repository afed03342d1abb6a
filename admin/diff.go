package admin

import (
	"cmp"
	"context"
	"slices"

	"github.com/latchkey/latchkey/policy"
	"github.com/latchkey/latchkey/policyfile"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

// Diff returns what changes where one policy takes the place of another: by
// what the two answer, and place by place of their documents. It counts no keys.
func Diff(old, next *policyfile.Loaded) *adminv1.PolicyDifference {
	return diff(&compiledPolicy{policy: old.Policy, doc: old.Doc}, &compiledPolicy{policy: next.Policy, doc: next.Doc}).message
}

// difference is what changes, and what it was worked out from.
type difference struct {
	message   *adminv1.PolicyDifference
	old, next *policy.Policy
	turns     []turn
}

// turn is requests that another endpoint, or none, answers for from now on.
// Requests with the same two endpoints are alike to every key.
type turn struct {
	old, next *policy.Endpoint
	routes    []routeText
}

// routeText is a route as it is told.
type routeText struct {
	method string
	path   string
}

// diff works the difference out. The old policy may be nil: there is none.
func diff(old, next *compiledPolicy) *difference {
	d := &difference{message: &adminv1.PolicyDifference{New: next.policy.Name(), NewVersion: next.policy.Version()}, next: next.policy}
	if old == nil {
		return d
	}
	d.old = old.policy
	d.message.Old, d.message.OldVersion = old.policy.Name(), old.policy.Version()
	if d.message.OldVersion == d.message.NewVersion {
		return d
	}
	d.message.Document = documentDiff(old.doc, next.doc)
	d.turns = turnsOf(old.policy, next.policy)
	for _, name := range typesOf(old.doc, next.doc) {
		if access := d.access(name); len(access) > 0 {
			d.message.Types = append(d.message.Types, &adminv1.TypeDifference{Type: name, Access: access})
		}
	}
	return d
}

// typesOf returns the key types of both, in the order of the new document.
func typesOf(old, next *policyv1.Policy) []string {
	var names []string
	for _, t := range slices.Concat(next.GetKeyTypes(), old.GetKeyTypes()) {
		if !slices.Contains(names, t.GetName()) {
			names = append(names, t.GetName())
		}
	}
	return names
}

// turnsOf asks both policies who answers for each kind of request. All kinds are
// kept: an endpoint may keep its routes and ask for more.
func turnsOf(old, next *policy.Policy) []turn {
	type pair struct{ old, next *policy.Endpoint }
	type line struct {
		pair
		path string
	}
	type whole struct {
		method    string
		old, next *policy.Route
	}
	seen := map[whole]bool{} // pairs of routes that were told by their own templates
	methods := map[line][]string{}
	var lines []line
	for _, first := range []bool{true, false} {
		for _, p := range policy.Probes(old, next) {
			before, after := old.Match(p.Method, p.Path), next.Match(p.Method, p.Path)
			met := whole{p.Method, before, after}
			if p.Whole != first || before == nil && after == nil || !first && seen[met] {
				continue
			}
			seen[met] = true
			l := line{pair{endpointOf(before), endpointOf(after)}, p.Text}
			if methods[l] == nil {
				lines = append(lines, l)
			}
			methods[l] = append(methods[l], p.Method)
		}
	}
	var turns []turn
	at := map[pair]int{}
	for _, l := range lines {
		i, ok := at[l.pair]
		if !ok {
			i = len(turns)
			at[l.pair] = i
			turns = append(turns, turn{old: l.old, next: l.next})
		}
		turns[i].routes = append(turns[i].routes, routeText{policy.MethodsText(methods[l]), l.path})
	}
	return turns
}

func endpointOf(r *policy.Route) *policy.Endpoint {
	if r == nil {
		return nil
	}
	return r.Endpoint
}

// counted returns the difference with the live keys that it is about.
func (s *Server) counted(l *lookup, old, next *compiledPolicy) *adminv1.PolicyDifference {
	d := diff(old, next)
	if old != nil {
		s.count(d, l)
	}
	return d.message
}

// diffPolicy compares a policy with another, or with the one in use.
func (s *Server) diffPolicy(_ context.Context, _ Caller, r *adminv1.DiffPolicyRequest) (*adminv1.DiffPolicyResponse, error) {
	l, err := s.look(nil)
	if err != nil {
		return nil, err
	}
	next, err := loadForDiff(r.GetNewFile(), r.GetNewSource())
	if err != nil {
		return nil, err
	}
	var old *compiledPolicy
	switch r.GetOld().(type) {
	case *adminv1.DiffPolicyRequest_InUse:
		if old = l.Policies.one[r.GetInUse()]; old == nil {
			return nil, absent("in_use: no policy %s is in use: %s", l.quote(r.GetInUse()), nearest(r.GetInUse(), l.Policies.names()))
		}
	case *adminv1.DiffPolicyRequest_Source:
		if old, err = loadForDiff(r.GetOldFile(), r.GetSource()); err != nil {
			return nil, err
		}
	default:
		return nil, invalid("old: it is missing: name a policy in use, or give the text of one")
	}
	return &adminv1.DiffPolicyResponse{Difference: s.counted(l, old, next), Position: position(l.at)}, nil
}

func loadForDiff(file, source string) (*compiledPolicy, error) {
	loaded, err := policyfile.Load(cmp.Or(file, "policy"), []byte(source))
	if err != nil {
		return nil, &fault{ErrInvalid, err.Error()}
	}
	return &compiledPolicy{policy: loaded.Policy, rules: loaded.Rules, doc: loaded.Doc}, nil
}
