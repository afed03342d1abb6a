package main

import (
	"github.com/spf13/cobra"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

func newKeysCreate() *cobra.Command {
	q := &adminv1.CreateKeyRequest{Key: &adminv1.KeyFields{}}
	var in span
	var at instant
	cmd := &cobra.Command{
		Use:   "create --policy NAME --type TYPE [flags]",
		Short: "Make a key and print its token, once",
		Example: `  latchkey keys create --policy kodey --type secret --tenant team:t_1 --expires-in 90d
  latchkey keys create --policy cuneiform --type key --tenant org:acme --as user:ada --scope agents:read -o json`,
		Args: exactly(),
	}
	addClient(cmd, func(cmd *cobra.Command, c *client, _ []string) error {
		if q.Key.Policy == "" || q.Key.Type == "" {
			return usagef("--policy and --type say what key it is: give both")
		}
		if err := atMostOne(cmd, "expires-in", "expires-at"); err != nil {
			return err
		}
		q.Key.ExpiresIn, q.Key.ExpiresAt = in.Duration, at.Timestamp
		outliveOutput()
		a, err := ask(cmd.Context(), c.keys.CreateKey, q)
		if err != nil {
			return err
		}
		if err := unseen(a.GetKey(), c.printKey(cmd, a.GetKey())); err != nil {
			return err
		}
		c.noteToken(cmd, a.GetKey())
		noteDryRun(cmd, q.DryRun)
		return nil
	})
	f := cmd.Flags()
	f.StringVar(&q.Key.Policy, "policy", "", "policy that the key belongs to")
	f.StringVar(&q.Key.Type, "type", "", "key type")
	f.StringVar(&q.Key.Tenant, "tenant", "", "tenant that owns it, such as team:t_1")
	f.StringVar(&q.Key.Principal, "principal", "", "principal that owns it, such as user:ada")
	f.StringVar(&q.Key.Environment, "environment", "", "environment; needed where the policy has several")
	f.StringArrayVar(&q.Key.Scopes, "scope", nil, "scope that it is given; repeat it for more")
	f.StringVar(&q.Key.Role, "role", "", "role that it carries; the type's default without")
	f.StringVar(&q.Key.Name, "name", "", "short name")
	f.StringVar(&q.Key.Description, "description", "", "description")
	f.Var(&in, "expires-in", "how long it is valid, such as 90d (s m h d w)")
	f.Var(&at, "expires-at", "when it stops being valid (RFC 3339)")
	f.BoolVar(&q.Key.System, "system", false, "make it a system key")
	addAs(cmd, &q.As)
	addDryRun(cmd, &q.DryRun)
	return cmd
}
