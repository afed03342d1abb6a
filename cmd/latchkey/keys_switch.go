package main

import (
	"context"

	"github.com/spf13/cobra"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

func newKeysDisable() *cobra.Command {
	cmd := newKeysSwitch("disable", "disabled", func(ctx context.Context, c *client, as, id string, dryRun bool) (*adminv1.Key, *adminv1.Position, error) {
		a, err := ask(ctx, c.keys.DisableKey, &adminv1.DisableKeyRequest{As: as, Id: id, DryRun: dryRun})
		return a.GetKey(), a.GetPosition(), err
	}, &adminv1.ChangeKeysRequest{Change: &adminv1.ChangeKeysRequest_Disable{Disable: &adminv1.DisableKeyRequest{}}})
	cmd.Short = "Switch a key, or many, off until they are enabled"
	return cmd
}

func newKeysEnable() *cobra.Command {
	cmd := newKeysSwitch("enable", "enabled", func(ctx context.Context, c *client, as, id string, dryRun bool) (*adminv1.Key, *adminv1.Position, error) {
		a, err := ask(ctx, c.keys.EnableKey, &adminv1.EnableKeyRequest{As: as, Id: id, DryRun: dryRun})
		return a.GetKey(), a.GetPosition(), err
	}, &adminv1.ChangeKeysRequest{Change: &adminv1.ChangeKeysRequest_Enable{Enable: &adminv1.EnableKeyRequest{}}})
	cmd.Short = "Switch a disabled key, or many, on"
	return cmd
}

// newKeysSwitch returns a command that needs nothing but a key, and prints it,
// or a selection of keys.
func newKeysSwitch(verb, past string, do func(ctx context.Context, c *client, as, id string, dryRun bool) (*adminv1.Key, *adminv1.Position, error), change *adminv1.ChangeKeysRequest) *cobra.Command {
	var as string
	var dryRun bool
	var w *waiting
	cmd := &cobra.Command{
		Use: verb + " ID [flags]",
		Example: "  latchkey keys " + verb + " key_0123456789abcdef0123456789abcdef\n" +
			"  latchkey keys " + verb + " --tenant team:t_1 --dry-run\n" +
			"  latchkey keys " + verb + " --tenant team:t_1 --yes",
		Args: exactly("ID"),
	}
	m := addMany(cmd, verb, past, "")
	addSelection(cmd, m.q.Selection, "")
	addClient(cmd, func(cmd *cobra.Command, c *client, args []string) error {
		if err := w.check(dryRun); err != nil {
			return err
		}
		if err := m.alone(args); err != nil {
			return err
		}
		if len(args) == 0 {
			m.q.As, m.q.DryRun, m.q.Change = as, dryRun, change.Change
			return m.run(cmd, c, w)
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
