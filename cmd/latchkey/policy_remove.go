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
		Long: `Take a policy away. Its hosts are nobody's then. It is refused while the policy has live
keys, which would be good for nothing, unless that is meant.`,
		Example: `  latchkey policy remove kodey --dry-run
  latchkey policy remove kodey`,
		Args: exactly("NAME"),
	}
	addClient(cmd, func(cmd *cobra.Command, c *client, args []string) error {
		q.Name = args[0]
		a, err := ask(cmd.Context(), c.policies.RemovePolicy, q)
		if err != nil {
			return err
		}
		noteDryRun(cmd, q.DryRun)
		return c.print(cmd.OutOrStdout(), a, func(t *tabwriter.Writer) {
			became := "is not in use any more"
			if q.DryRun {
				became = "can be taken away"
			}
			row(t, "policy "+q.Name, became)
			row(t, "live keys", fmt.Sprint(a.GetKeys()))
			row(t, "revision", fmt.Sprint(a.GetPosition().GetRevision()))
		})
	})
	cmd.Flags().BoolVar(&q.Strand, "strand", false, "do it although the policy has live keys")
	addDryRun(cmd, &q.DryRun)
	return cmd
}
