package main

import (
	"context"

	"github.com/spf13/cobra"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

func newKeysDisable() *cobra.Command {
	return newKeysSwitch("disable", "Switch a key off until it is enabled", func(ctx context.Context, c *client, as, id string, dryRun bool) (*adminv1.Key, *adminv1.Position, error) {
		a, err := ask(ctx, c.keys.DisableKey, &adminv1.DisableKeyRequest{As: as, Id: id, DryRun: dryRun})
		return a.GetKey(), a.GetPosition(), err
	})
}

func newKeysEnable() *cobra.Command {
	return newKeysSwitch("enable", "Switch a disabled key on", func(ctx context.Context, c *client, as, id string, dryRun bool) (*adminv1.Key, *adminv1.Position, error) {
		a, err := ask(ctx, c.keys.EnableKey, &adminv1.EnableKeyRequest{As: as, Id: id, DryRun: dryRun})
		return a.GetKey(), a.GetPosition(), err
	})
}

// newKeysSwitch returns a command that needs nothing but a key, and prints it.
func newKeysSwitch(verb, short string, do func(ctx context.Context, c *client, as, id string, dryRun bool) (*adminv1.Key, *adminv1.Position, error)) *cobra.Command {
	var as string
	var dryRun bool
	var w *waiting
	cmd := &cobra.Command{Use: verb + " ID [flags]", Short: short, Args: exactly("ID")}
	addClient(cmd, func(cmd *cobra.Command, c *client, args []string) error {
		if err := w.check(dryRun); err != nil {
			return err
		}
		k, at, err := do(cmd.Context(), c, as, args[0], dryRun)
		if err != nil {
			return err
		}
		noteDryRun(cmd, dryRun)
		return c.printKeyAnd(cmd, w, k, at)
	})
	w = addWait(cmd)
	addAs(cmd, &as)
	addDryRun(cmd, &dryRun)
	return cmd
}
