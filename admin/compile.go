package admin

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

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
	doc    *policyv1.Policy // for whoever compares it with the next
}

// Name returns the policy's name.
func (p *compiledPolicy) Name() string { return p.policy.Name() }

// Policy returns the policy of that name, or nil.
func (c *Compiled) Policy(name string) *policy.Policy {
	if one := c.one[name]; one != nil {
		return one.policy
	}
	return nil
}

// Compiler compiles policy documents. It remembers those of its last call. The zero value is ready; it is safe for
// concurrent use.
type Compiler struct {
	once      sync.Once
	documents policy.Documents[*compiledPolicy]
}

// Compile is for storage.Options.Compile: it makes a *Compiled of documents,
// each the encoding of a latchkey.policy.v1.Policy, by name.
func (c *Compiler) Compile(documents map[string][]byte) (any, error) {
	c.once.Do(func() { c.documents.Compile = compileOne })
	all, err := c.documents.All(documents)
	if err != nil {
		return nil, err
	}
	compiled, err := together(all...)
	if err != nil {
		return nil, err // and not a nil pointer within an any
	}
	return compiled, nil
}

// CompileLoaded puts policies together that no store holds, such as those that
// `latchkey policy test` reads.
func CompileLoaded(all ...*policyfile.Loaded) (*Compiled, error) {
	list := make([]*compiledPolicy, len(all))
	for i, l := range all {
		list[i] = &compiledPolicy{l.Policy, l.Rules, l.Doc}
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
	return &compiledPolicy{compiled, rules, doc}, nil
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

// with returns the policies with one put in, or taken out where it is nil. What is
// wrong with them together is told in the same words each time.
func (c *Compiled) with(name string, one *compiledPolicy) (*Compiled, error) {
	next := maps.Clone(c.one)
	delete(next, name)
	if one != nil {
		next[name] = one
	}
	all := slices.SortedFunc(maps.Values(next), func(a, b *compiledPolicy) int { return strings.Compare(a.Name(), b.Name()) })
	return together(all...)
}
