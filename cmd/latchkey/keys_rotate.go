package main

import (
	"github.com/spf13/cobra"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

func newKeysRotate() *cobra.Command {
	q := &adminv1.RotateKeyRequest{}
	var grace span
	var w *waiting
	cmd := &cobra.Command{
		Use:     "rotate ID [flags]",
		Short:   "Give a key a new token and print it, once",
		Example: "  latchkey keys rotate key_0123456789abcdef0123456789abcdef --grace 24h",
		Args:    exactly("ID"),
	}
	addClient(cmd, func(cmd *cobra.Command, c *client, args []string) error {
		if err := w.check(q.DryRun); err != nil {
			return err
		}
		q.Id, q.Grace = args[0], grace.Duration
		outliveOutput()
		a, err := ask(cmd.Context(), c.keys.RotateKey, q)
		if err != nil {
			return err
		}
		if err := c.printKeyAnd(cmd, w, a.GetKey(), a.GetPosition()); err != nil {
			return err
		}
		c.noteToken(cmd, a.GetKey())
		noteDryRun(cmd, q.DryRun)
		return nil
	})
	w = addWait(cmd)
	cmd.Flags().Var(&grace, "grace", "how long the old token stays valid, such as 24h; without it, it ends now")
	addAs(cmd, &q.As)
	addDryRun(cmd, &q.DryRun)
	return cmd
}
