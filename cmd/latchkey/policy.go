package main

import (
	"github.com/spf13/cobra"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

func newPolicy() *cobra.Command {
	return group("policy", "Check, test and apply policies",
		newPolicyCheck(), newPolicyTest(), newPolicyMatrix(), newPolicyDiff(), newPolicySchema(),
		newPolicyApply(), newPolicyRemove(), newPolicyList(),
	)
}

// listPolicies returns the policies in use.
func (c *client) listPolicies(cmd *cobra.Command) ([]*adminv1.Policy, error) {
	a, err := ask(cmd.Context(), c.policies.ListPolicies, &adminv1.ListPoliciesRequest{})
	return a.GetPolicies(), err
}
