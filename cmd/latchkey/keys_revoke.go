package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

func newKeysRevoke() *cobra.Command {
	q := &adminv1.RevokeKeyRequest{}
	which := &adminv1.ListKeysRequest{}
	var yes bool
	var w *waiting
	cmd := &cobra.Command{
		Use:   "revoke ID [flags]",
		Short: "End a key, or many, for good",
		Example: `  latchkey keys revoke key_0123456789abcdef0123456789abcdef --note "found in a public repository"
  latchkey keys revoke key_0123456789abcdef0123456789abcdef --wait=10s
  latchkey keys revoke --principal user:ada --yes`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && selects(which) {
				return nil
			}
			return exactly("ID")(cmd, args)
		},
	}
	addClient(cmd, func(cmd *cobra.Command, c *client, args []string) error {
		if err := w.check(q.DryRun); err != nil {
			return err
		}
		if len(args) == 1 {
			if selects(which) || yes {
				return usagef("an ID names one key, and --policy, --type, --tenant, --principal and --yes are for many: give one or the other")
			}
			q.Id = args[0]
			a, err := ask(cmd.Context(), c.keys.RevokeKey, q)
			if err != nil {
				return err
			}
			noteDryRun(cmd, q.DryRun)
			return c.printKeyAnd(cmd, w, a.GetKey(), a.GetPosition())
		}
		return c.revokeMany(cmd, which, q, w, yes)
	})
	w = addWait(cmd)
	f := cmd.Flags()
	f.StringVar(&q.Note, "note", "", "why, for the log")
	f.BoolVar(&q.System, "system", false, "revoke system keys too")
	addFilter(cmd, which)
	f.BoolVar(&yes, "yes", false, "revoke all keys that --policy, --type, --tenant and --principal select")
	addAs(cmd, &q.As)
	addDryRun(cmd, &q.DryRun)
	return cmd
}

func selects(q *adminv1.ListKeysRequest) bool {
	return q.Policy != "" || q.Type != "" || q.Tenant != "" || q.Principal != ""
}

// revokeMany revokes each key that is selected, and goes on after a refusal:
// of many leaked keys as many as possible have to go.
func (c *client) revokeMany(cmd *cobra.Command, which *adminv1.ListKeysRequest, q *adminv1.RevokeKeyRequest, w *waiting, yes bool) error {
	which.As = q.As
	found, err := c.listKeys(cmd.Context(), which)
	if err != nil {
		return err
	}
	var live []*adminv1.Key
	for _, k := range found {
		if k.GetStatus() != string(key.Revoked) {
			live = append(live, k)
		}
	}
	if !yes && !q.DryRun {
		return usagef("this would revoke %d keys for good: add --yes, or look first with --dry-run", len(live))
	}
	var done []*adminv1.Key
	var errs []error
	for _, k := range live {
		one := &adminv1.RevokeKeyRequest{As: q.As, Id: k.GetId(), Note: q.Note, System: q.System, DryRun: q.DryRun}
		a, err := ask(cmd.Context(), c.keys.RevokeKey, one)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", k.GetId(), c.explain(err)))
			continue
		}
		done = append(done, a.GetKey())
	}
	noteDryRun(cmd, q.DryRun)
	if !w.on() {
		return errors.Join(append([]error{c.printKeys(cmd, done)}, errs...)...)
	}
	// Everything up to the newest write is what they must know.
	r, err := c.receiptOf(cmd, w, nil)
	if err != nil {
		return errors.Join(append([]error{c.printKeys(cmd, done), err}, errs...)...)
	}
	return errors.Join(append([]error{c.printKeysReceipt(cmd, done, r)}, errs...)...)
}
