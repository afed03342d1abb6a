package admin

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/policy"
	"github.com/latchkey/latchkey/policyfile"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

// Compiled is the policies in use, for the decision and for management. It is
// immutable.
type Compiled struct {
	// Policies is what requests are decided by.
	Policies *policy.Policies

	one map[string]*compiledPolicy // by name
}

// compiledPolicy is one policy, with what only management needs of it.
type compiledPolicy struct {
	policy *policy.Policy
	rules  *policyfile.Rules
}

// Policy returns the policy of that name, or nil.
func (c *Compiled) Policy(name string) *policy.Policy {
	if one := c.one[name]; one != nil {
		return one.policy
	}
	return nil
}

// Compiler compiles policy documents. It remembers those of its last call, so
// that a change of one policy compiles one. The zero value is ready; it is
// safe for concurrent use.
type Compiler struct {
	mu   sync.Mutex
	last map[[sha256.Size]byte]*compiledPolicy
}

// Compile is for storage.Options.Compile: it makes a *Compiled of documents,
// each the encoding of a latchkey.policy.v1.Policy, by name.
func (c *Compiler) Compile(documents map[string][]byte) (any, error) {
	compiled, err := c.compile(documents)
	if err != nil {
		return nil, err // and not a nil pointer within an any
	}
	return compiled, nil
}

func (c *Compiler) compile(documents map[string][]byte) (*Compiled, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := map[[sha256.Size]byte]*compiledPolicy{}
	var all []*compiledPolicy
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(documents)) {
		digest := sha256.Sum256(documents[name])
		one := c.last[digest]
		if one == nil {
			doc := &policyv1.Policy{}
			err := proto.Unmarshal(documents[name], doc)
			if err == nil {
				one, err = compileOne(doc)
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("policy %q: %w", name, err))
				continue
			}
		}
		if one.policy.Name() != name {
			errs = append(errs, fmt.Errorf("policy %q: its document calls it %q", name, one.policy.Name()))
		}
		next[digest] = one
		all = append(all, one)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	compiled, err := together(all...)
	if err != nil {
		return nil, err
	}
	c.last = next
	return compiled, nil
}

// CompileLoaded puts policies together that no store holds, such as those that
// `latchkey policy test` reads.
func CompileLoaded(all ...*policyfile.Loaded) (*Compiled, error) {
	list := make([]*compiledPolicy, len(all))
	for i, l := range all {
		list[i] = &compiledPolicy{l.Policy, l.Rules}
	}
	return together(list...)
}

func compileOne(doc *policyv1.Policy) (*compiledPolicy, error) {
	compiled, err := policy.Compile(doc)
	if err != nil {
		return nil, err
	}
	rules, problems := policyfile.CompileRules(doc)
	if len(problems) > 0 {
		return nil, errors.New(problems[0].String())
	}
	return &compiledPolicy{compiled, rules}, nil
}

func together(all ...*compiledPolicy) (*Compiled, error) {
	compiled := &Compiled{one: map[string]*compiledPolicy{}}
	policies := make([]*policy.Policy, len(all))
	for i, one := range all {
		policies[i] = one.policy
		compiled.one[one.policy.Name()] = one
	}
	var err error
	if compiled.Policies, err = policy.NewPolicies(policies...); err != nil {
		return nil, err
	}
	return compiled, nil
}

// with returns the policies with one put in, or taken out where it is nil.
func (c *Compiled) with(name string, one *compiledPolicy) (*Compiled, error) {
	next := maps.Clone(c.one)
	delete(next, name)
	if one != nil {
		next[name] = one
	}
	return together(slices.Collect(maps.Values(next))...)
}
