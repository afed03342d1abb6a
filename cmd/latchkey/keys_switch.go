package main

import (
	"github.com/spf13/cobra"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

func newKeysDisable() *cobra.Command {
	q := &adminv1.DisableKeyRequest{}
	cmd := &cobra.Command{
		Use:   "disable ID [flags]",
		Short: "Switch a key off until it is enabled",
		Args:  exactly("ID"),
	}
	addClient(cmd, func(cmd *cobra.Command, c *client, args []string) error {
		q.Id = args[0]
		a, err := ask(cmd.Context(), c.keys.DisableKey, q)
		if err != nil {
			return err
		}
		noteDryRun(cmd, q.DryRun)
		return c.printKey(cmd, a.GetKey())
	})
	addAs(cmd, &q.As)
	addDryRun(cmd, &q.DryRun)
	return cmd
}

func newKeysEnable() *cobra.Command {
	q := &adminv1.EnableKeyRequest{}
	cmd := &cobra.Command{
		Use:   "enable ID [flags]",
		Short: "Switch a disabled key on",
		Args:  exactly("ID"),
	}
	addClient(cmd, func(cmd *cobra.Command, c *client, args []string) error {
		q.Id = args[0]
		a, err := ask(cmd.Context(), c.keys.EnableKey, q)
		if err != nil {
			return err
		}
		noteDryRun(cmd, q.DryRun)
		return c.printKey(cmd, a.GetKey())
	})
	addAs(cmd, &q.As)
	addDryRun(cmd, &q.DryRun)
	return cmd
}
