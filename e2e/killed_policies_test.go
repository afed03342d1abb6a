package e2e

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"connectrpc.com/connect"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// ownPolicies are the names of the policies that are put in use and taken away.
var ownPolicies = []string{"own-a", "own-b", "own-c"}

// policyWrite puts a policy in use, or takes it away.
type policyWrite struct {
	h             *history
	policy        string
	source        string // empty: taken away
	before, after string // versions; empty: none
	position      *adminv1.Position
}

func (c *policyWrite) kind() string {
	if c.source == "" {
		return "policy remove"
	}
	return "policy apply"
}

func (c *policyWrite) call(ctx context.Context, v *victim) error {
	if c.source == "" {
		a, err := v.policy.RemovePolicy(ctx, connect.NewRequest(&adminv1.RemovePolicyRequest{Name: c.policy}))
		if err == nil {
			c.position = a.Msg.GetPosition()
		}
		return err
	}
	a, err := v.policy.ApplyPolicy(ctx, connect.NewRequest(&adminv1.ApplyPolicyRequest{File: c.policy, Source: c.source}))
	if err != nil {
		return err
	}
	c.position = a.Msg.GetPosition()
	if !a.Msg.GetChanged() || a.Msg.GetPolicy().GetVersion() != c.after {
		return errors.New("a policy that is applied is not the one in use")
	}
	return nil
}

func (c *policyWrite) acked() (*adminv1.Position, error) {
	c.adopt()
	return c.position, nil
}

func (c *policyWrite) adopt() {
	if delete(c.h.policies, c.policy); c.after != "" {
		c.h.policies[c.policy] = c.after
	}
}

func (c *policyWrite) found(ctx context.Context, v *victim) (bool, error) {
	there, err := v.policies(ctx)
	if err != nil {
		return false, err
	}
	switch there[c.policy] {
	case c.before:
		return false, nil
	case c.after:
		c.adopt()
		return true, nil
	}
	return false, fmt.Errorf("HALF: policy %s has version %q, and not %q or %q", c.policy, there[c.policy], c.before, c.after)
}

// policies returns the versions of the policies in use, by name.
func (v *victim) policies(ctx context.Context) (map[string]string, error) {
	answer, err := v.policy.ListPolicies(ctx, connect.NewRequest(&adminv1.ListPoliciesRequest{}))
	if err != nil {
		return nil, err
	}
	there := map[string]string{}
	for _, p := range answer.Msg.GetPolicies() {
		there[p.GetName()] = p.GetVersion()
	}
	return there, nil
}

// changePolicies makes up a write of a policy.
func (h *history) changePolicies(w *writer) write {
	c := &policyWrite{h: h, policy: ownPolicies[w.rand.IntN(len(ownPolicies))]}
	c.before = h.policies[c.policy]
	if c.before != "" && w.rand.IntN(3) == 0 {
		return c
	}
	w.names++
	short := strings.TrimPrefix(c.policy, "own-")
	c.source = "name: " + c.policy + "\nhosts: [" + c.policy + ".example]\ntenants: [team]\nscopes: [read]\n" +
		"key_types:\n  plain: {format: \"ow" + short + "_{secret:30}\", owner: team, scopes: [all]}\n" +
		"endpoints:\n  Read: {scopes: [read], routes: [GET /v" + strconv.Itoa(w.names) + "]}\n"
	c.after = h.version(c.source)
	return c
}
