package admin

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/key"
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
	out, err := s.use(ctx, caller, loaded, r.GetStrand(), r.GetDryRun())
	if err != nil {
		return nil, err
	}
	if !r.GetDryRun() {
		s.files.forget(out.name)
	}
	response := &adminv1.ApplyPolicyResponse{Changed: out.changed, Position: position(out.at)}
	response.Policy = s.policyShown(out.policies.one[out.name], s.liveByPolicy(out.lookup)[out.name])
	return response, nil
}

// used is what became of a policy.
type used struct {
	*lookup
	name     string
	policies *Compiled // with the policy among them
	changed  bool
}

// use writes a policy, unless it is the one in use.
func (s *Server) use(ctx context.Context, caller Caller, loaded *policyfile.Loaded, strand, dryRun bool) (*used, error) {
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
		if old != nil && old.policy.Version() == loaded.Policy.Version() {
			return nil
		}
		next := &compiledPolicy{loaded.Policy, loaded.Rules}
		if out.policies, err = l.Policies.with(name, next); err != nil {
			return invalid("%s", err)
		}
		out.changed = true
		if !strand {
			if err := s.stranded(l, name, old, next); err != nil {
				return err
			}
		}
		if dryRun {
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
	return out, nil
}

// removePolicy takes a policy away.
func (s *Server) removePolicy(ctx context.Context, caller Caller, r *adminv1.RemovePolicyRequest) (*adminv1.RemovePolicyResponse, error) {
	s.world.Lock()
	defer s.world.Unlock()
	var at storage.Position
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
		at, err = s.ledger.Commit(ctx, storage.Change{
			Operator: caller.Operator, Acting: caller.Acting, Action: "policies.remove",
			Policies: map[string][]byte{r.GetName(): nil}, Based: l.at,
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	s.files.forget(r.GetName())
	return &adminv1.RemovePolicyResponse{Position: position(at)}, nil
}

// listPolicies returns the policies in use.
func (s *Server) listPolicies(context.Context, Caller, *adminv1.ListPoliciesRequest) (*adminv1.ListPoliciesResponse, error) {
	policies, err := s.Policies()
	if err != nil {
		return nil, err
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
	live := s.liveByPolicy(l)
	var all []*adminv1.Policy
	for _, name := range l.Policies.names() {
		all = append(all, s.policyShown(l.Policies.one[name], live[name]))
	}
	return all, nil
}

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
