package main

import (
	"text/tabwriter"

	"github.com/spf13/cobra"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

func newKeysShow() *cobra.Command {
	q := &adminv1.GetKeyRequest{}
	cmd := &cobra.Command{
		Use:   "show ID [flags]",
		Short: "Show one key",
		Example: `  latchkey keys show key_0123456789abcdef0123456789abcdef
  latchkey keys show key_0123456789abcdef0123456789abcdef --reveal -o json`,
		Args: exactly("ID"),
	}
	addClient(cmd, func(cmd *cobra.Command, c *client, args []string) error {
		q.Id = args[0]
		a, err := ask(cmd.Context(), c.keys.GetKey, q)
		if err != nil {
			return err
		}
		if q.As != "" {
			return c.printKey(cmd, a.GetKey())
		}
		return c.printKey(cmd, a.GetKey(), func(t *tabwriter.Writer) { fact(t, "history", "latchkey log "+a.GetKey().GetId()) })
	})
	cmd.Flags().BoolVar(&q.Reveal, "reveal", false, "show the token too, where keys of the type are public")
	addAs(cmd, &q.As)
	return cmd
}
