package main

import (
	"github.com/spf13/cobra"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

func newKeysRevoke() *cobra.Command {
	q := &adminv1.RevokeKeyRequest{}
	var w *waiting
	cmd := &cobra.Command{
		Use:   "revoke ID [flags]",
		Short: "End a key, or many, for good",
		Long: `End a key for good, or in place of an ID all keys that the flags select. Of many, how
many they are is told and has to be confirmed, or --yes given. They are revoked some
thousands in one write, and one that may not be revoked holds up no other. Where it
is broken off, the same command goes on.`,
		Example: `  latchkey keys revoke key_0123456789abcdef0123456789abcdef --note "found in a public repository"
  latchkey keys revoke key_0123456789abcdef0123456789abcdef --wait=10s
  latchkey keys revoke --principal user:ada --dry-run
  latchkey keys revoke --tenant team:t_1 --creator user:ada --note "laptop stolen" --yes --wait=1m`,
		Args: exactly("ID"),
	}
	m := addMany(cmd, "revoke", "revoked", " for good")
	addSelection(cmd, m.q.Selection, "")
	addClient(cmd, func(cmd *cobra.Command, c *client, args []string) error {
		if err := w.check(q.DryRun); err != nil {
			return err
		}
		if err := m.alone(args); err != nil {
			return err
		}
		if len(args) == 0 {
			m.q.As, m.q.DryRun = q.As, q.DryRun
			m.q.Change = &adminv1.ChangeKeysRequest_Revoke{Revoke: &adminv1.RevokeKeyRequest{Note: q.Note, System: q.System}}
			return m.run(cmd, c, w)
		}
		q.Id = args[0]
		a, err := ask(cmd.Context(), c.keys.RevokeKey, q)
		if err != nil {
			return err
		}
		noteDryRun(cmd, q.DryRun)
		return c.printKeyAnd(cmd, w, a.GetKey(), a.GetPosition())
	})
	w = addWait(cmd)
	f := cmd.Flags()
	f.StringVar(&q.Note, "note", "", "why, for the log")
	f.BoolVar(&q.System, "system", false, "revoke system keys too")
	addAs(cmd, &q.As)
	addDryRun(cmd, &q.DryRun)
	return cmd
}
