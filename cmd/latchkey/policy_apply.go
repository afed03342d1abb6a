package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/internal/strictyaml"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

func newPolicyApply() *cobra.Command {
	q := &adminv1.ApplyPolicyRequest{}
	cmd := &cobra.Command{
		Use:   "apply FILE|- [flags]",
		Short: "Put a policy in use, in place of the one of that name",
		Args:  exactly("FILE"),
	}
	addClient(cmd, func(cmd *cobra.Command, c *client, args []string) error {
		text, err := readInput(cmd, args[0], strictyaml.MaxSize)
		if err != nil {
			return err
		}
		q.File, q.Source = args[0], string(text)
		a, err := ask(cmd.Context(), c.policies.ApplyPolicy, q)
		if err != nil {
			return err
		}
		noteDryRun(cmd, q.DryRun)
		return c.print(cmd.OutOrStdout(), a, func(t *tabwriter.Writer) {
			became := "was in use already"
			if a.GetChanged() && q.DryRun {
				became = "can be put in use"
			} else if a.GetChanged() {
				became = "is in use"
			}
			row(t, "policy "+a.GetPolicy().GetName(), became)
			row(t, "version", a.GetPolicy().GetVersion())
			row(t, "revision", fmt.Sprint(a.GetPosition().GetRevision()))
		})
	})
	cmd.Flags().BoolVar(&q.Strand, "strand", false, "do it although live keys lose their type, role, scope or format")
	addDryRun(cmd, &q.DryRun)
	return cmd
}
