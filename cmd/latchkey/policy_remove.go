package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

func newPolicyRemove() *cobra.Command {
	q := &adminv1.RemovePolicyRequest{}
	cmd := &cobra.Command{
		Use:   "remove NAME [flags]",
		Short: "Take a policy away",
		Args:  exactly("NAME"),
	}
	addClient(cmd, func(cmd *cobra.Command, c *client, args []string) error {
		q.Name = args[0]
		a, err := ask(cmd.Context(), c.policies.RemovePolicy, q)
		if err != nil {
			return err
		}
		return c.print(cmd.OutOrStdout(), a, func(t *tabwriter.Writer) {
			row(t, "policy "+q.Name, "is not in use any more")
			row(t, "revision", fmt.Sprint(a.GetPosition().GetRevision()))
		})
	})
	cmd.Flags().BoolVar(&q.Strand, "strand", false, "do it although the policy has live keys")
	return cmd
}
