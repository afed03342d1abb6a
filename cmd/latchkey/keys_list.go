package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

func newKeysList() *cobra.Command {
	q := &adminv1.ListKeysRequest{}
	unused := &span{}
	cmd := &cobra.Command{
		Use:   "list [flags]",
		Short: "List keys",
		Example: `  latchkey keys list --tenant team:t_1 --status active
  latchkey keys list --policy kodey -o json`,
		Args: exactly(),
	}
	addClient(cmd, func(cmd *cobra.Command, c *client, _ []string) error {
		q.UnusedFor = unused.Duration
		keys, err := c.listKeys(cmd.Context(), q)
		if err != nil {
			return err
		}
		return c.printKeys(cmd, keys)
	})
	addFilter(cmd, q)
	f := cmd.Flags()
	addStatus(cmd, &q.Status)
	f.StringVar(&q.Environment, "environment", "", "only keys of this environment")
	f.Var(unused, "unused-for", "only keys that weren't presented for so long, such as 90d; one that never was counts from when it was made, or recording began")
	addAs(cmd, &q.As)
	return cmd
}

// addStatus gives a command the flag that selects keys by what they are now.
func addStatus(cmd *cobra.Command, status *string) {
	cmd.Flags().StringVar(status, "status", "", "only keys of this status: "+statusWords)
	arguments := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if *status != "" && !slices.Contains(key.Statuses(), key.Status(*status)) {
			return usagef("the value of --status is wrong: write %s", statusWords)
		}
		return arguments(cmd, args)
	}
}

// statusWords says what a key may be.
const statusWords = string(key.Active + ", " + key.Retiring + ", " + key.Disabled + ", " + key.Expired + " or " + key.Revoked)

// addFilter gives a command the flags that select keys.
func addFilter(cmd *cobra.Command, q *adminv1.ListKeysRequest) {
	f := cmd.Flags()
	f.StringVar(&q.Policy, "policy", "", "only keys of this policy")
	f.StringVar(&q.Type, "type", "", "only keys of this type")
	f.StringVar(&q.Tenant, "tenant", "", "only keys of this tenant")
	f.StringVar(&q.Principal, "principal", "", "only keys of this principal")
}

// listKeys returns all keys that are selected, page by page.
func (c *client) listKeys(ctx context.Context, q *adminv1.ListKeysRequest) ([]*adminv1.Key, error) {
	var keys []*adminv1.Key
	for {
		page, err := ask(ctx, c.keys.ListKeys, q)
		if err != nil {
			return nil, err
		}
		keys = append(keys, page.GetKeys()...)
		if q.PageToken = page.GetNextPageToken(); q.PageToken == "" {
			return keys, nil
		}
	}
}
