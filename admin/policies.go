package admin

import (
	"context"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
	"github.com/latchkey/latchkey/policyfile"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/storage"
)

// applyPolicy puts a policy in use.
func (s *Server) applyPolicy(ctx context.Context, caller Caller, r *adminv1.ApplyPolicyRequest) (*adminv1.ApplyPolicyResponse, error) {
	file := r.GetFile()
	if file == "" {
		file = "policy"
	}
	loaded, err := policyfile.Load(file, []byte(r.GetSource()))
	if err != nil {
		return nil, &fault{ErrInvalid, err.Error()}
	}
	out, err := s.use(ctx, caller, loaded, applied{strand: r.GetStrand(), dryRun: r.GetDryRun(), replaces: r.GetReplaces(), diff: true})
	if err != nil {
		return nil, err
	}
	response := &adminv1.ApplyPolicyResponse{Changed: out.changed, Position: position(out.at), Difference: out.difference}
	if out.changed {
		response.ReplacedFile = out.from
	}
	response.Policy = s.policyShown(out.policies.one[out.name], s.liveByPolicy(out.lookup)[out.name])
	return response, nil
}

// used is what became of a policy.
type used struct {
	*lookup
	name     string
	policies *Compiled // with the policy among them
	changed  bool
	from     string // the file that the one before came from; empty for none

	difference *adminv1.PolicyDifference // where it was asked for and there is one
}

// applied says how a policy is put in use.
type applied struct {
	file           string // that it comes from; empty for none
	strand, dryRun bool
	replaces       string // the version that it may take the place of; empty for any
	diff           bool   // whether the difference is told
}

// replacesNone is said for a policy that may take no other's place.
const replacesNone = "none"

// use writes a policy, unless it is the one in use.
func (s *Server) use(ctx context.Context, caller Caller, loaded *policyfile.Loaded, how applied) (*used, error) {
	name := loaded.Policy.Name()
	document, err := (proto.MarshalOptions{Deterministic: true}).Marshal(loaded.Doc)
	if err != nil {
		return nil, err
	}
	s.world.Lock()
	defer s.world.Unlock()
	var out *used
	err = again(ctx, func() error {
		l, err := s.look(nil)
		if err != nil {
			return err
		}
		out = &used{lookup: l, name: name, policies: l.Policies}
		old := l.Policies.one[name]
		if version := versionOf(old); how.replaces != "" && how.replaces != version {
			return unfit("policy %s: what is in use of that name has changed meanwhile: look at the difference again, then apply", name)
		}
		if old != nil && old.policy.Version() == loaded.Policy.Version() {
			return nil
		}
		next := &compiledPolicy{loaded.Policy, loaded.Rules, loaded.Doc}
		if out.policies, err = l.Policies.with(name, next); err != nil {
			return invalid("%s", err)
		}
		out.changed = true
		if how.diff {
			out.difference = s.counted(l, old, next)
		}
		if !how.strand {
			if err := s.stranded(l, name, old, next); err != nil {
				return err
			}
		}
		if how.dryRun {
			return nil
		}
		out.at, err = s.ledger.Commit(ctx, storage.Change{
			Operator: caller.Operator, Acting: caller.Acting, Action: "policies.apply",
			Policies: map[string][]byte{name: document}, Based: l.at,
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	// Before another takes its place: which file it came from is noted in the order of the writes.
	out.from, _ = s.files.of(name)
	switch {
	case how.dryRun:
	case how.file != "":
		s.files.used(how.file, name)
	default:
		s.files.forget(name)
	}
	return out, nil
}

func versionOf(p *compiledPolicy) string {
	if p == nil {
		return replacesNone
	}
	return p.policy.Version()
}

// removePolicy takes a policy away.
func (s *Server) removePolicy(ctx context.Context, caller Caller, r *adminv1.RemovePolicyRequest) (*adminv1.RemovePolicyResponse, error) {
	s.world.Lock()
	defer s.world.Unlock()
	var at storage.Position
	var live uint64
	err := again(ctx, func() error {
		l, err := s.look(nil)
		if err != nil {
			return err
		}
		old := l.Policies.one[r.GetName()]
		if old == nil {
			return absent("name: no policy %s is in use: %s", l.quote(r.GetName()), nearest(r.GetName(), l.Policies.names()))
		}
		if !r.GetStrand() {
			if err := s.stranded(l, r.GetName(), old, nil); err != nil {
				return err
			}
		}
		live, at = s.liveByPolicy(l)[r.GetName()], l.at
		if r.GetDryRun() {
			return nil
		}
		at, err = s.ledger.Commit(ctx, storage.Change{
			Operator: caller.Operator, Acting: caller.Acting, Action: "policies.remove",
			Policies: map[string][]byte{r.GetName(): nil}, Based: l.at,
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	if !r.GetDryRun() {
		s.files.forget(r.GetName())
	}
	return &adminv1.RemovePolicyResponse{Position: position(at), Keys: live}, nil
}

// listPolicies returns the policies in use.
func (s *Server) listPolicies(_ context.Context, _ Caller, r *adminv1.ListPoliciesRequest) (*adminv1.ListPoliciesResponse, error) {
	l, err := s.look(nil)
	if err != nil {
		return nil, err
	}
	policies := s.policiesOf(l)
	for _, p := range policies {
		if r.GetDetails() {
			p.Details = details(l.Policies.one[p.GetName()].policy)
		}
	}
	return &adminv1.ListPoliciesResponse{Policies: policies}, nil
}

// Policies returns the policies in use, by name, with the number of their live
// keys and what is wrong with the files that they came from.
func (s *Server) Policies() ([]*adminv1.Policy, error) {
	l, err := s.look(nil)
	if err != nil {
		return nil, err
	}
	return s.policiesOf(l), nil
}

func (s *Server) policiesOf(l *lookup) []*adminv1.Policy {
	live := s.liveByPolicy(l)
	var all []*adminv1.Policy
	for _, name := range l.Policies.names() {
		all = append(all, s.policyShown(l.Policies.one[name], live[name]))
	}
	return all
}

// details is what one may name of a policy.
func details(p *policy.Policy) *adminv1.PolicyDetails {
	d := &adminv1.PolicyDetails{TenantKinds: p.Kinds()}
	for _, name := range p.Types() {
		t := p.Type(name)
		m := &adminv1.KeyTypeDetails{Name: name, Description: t.Description, Owner: t.Owner, Roles: sortedRoles(t)}
		if t.Grant == policy.Chosen {
			m.Scopes = p.ScopeNames(t.Scopes)
		}
		d.Types = append(d.Types, m)
	}
	return d
}

// sortedRoles returns the names of the roles that keys of a type may carry.
func sortedRoles(t *policy.KeyType) []string { return slices.Sorted(maps.Keys(t.Roles)) }

func (s *Server) liveByPolicy(l *lookup) map[string]uint64 {
	live := map[string]uint64{}
	s.ledger.Facts(func(r *key.Facts) bool {
		if r.Live(l.Now) {
			live[r.Policy]++
		}
		return true
	})
	return live
}

func (s *Server) policyShown(one *compiledPolicy, live uint64) *adminv1.Policy {
	p := &adminv1.Policy{
		Name: one.policy.Name(), Version: one.policy.Version(),
		Hosts: one.policy.Hosts(), KeyTypes: one.policy.Types(), Keys: live,
		Environments: one.policy.Environments(), CredentialHeaders: one.policy.CredentialHeaders(),
		TenantHeaders: one.policy.TenantHeaders(), Preflight: one.policy.Preflights(),
	}
	p.File, p.Error = s.files.of(p.Name)
	return p
}
