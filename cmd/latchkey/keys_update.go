package main

import (
	"errors"

	"github.com/spf13/cobra"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

func newKeysUpdate() *cobra.Command {
	q := &adminv1.UpdateKeyRequest{}
	var name, description, creator, role string
	var scopes []string
	var noScopes, noCreator bool
	var in span
	var at instant
	cmd := &cobra.Command{
		Use:   "update ID [flags]",
		Short: "Change what may change of a key, or of many",
		Long: `Change what may change of a key, or in place of an ID of all keys that the flags select:
such as who answers for them, where somebody leaves. A name can't be given to many.`,
		Example: `  latchkey keys update key_0123456789abcdef0123456789abcdef --scope agents:read --scope agents:write
  latchkey keys update key_0123456789abcdef0123456789abcdef --creator user:ada
  latchkey keys update --from-creator user:ada --creator user:bob --yes`,
		Args: exactly("ID"),
	}
	m := addMany(cmd, "update", "updated", "")
	addSelection(cmd, m.q.Selection, "from-creator")
	addClient(cmd, func(cmd *cobra.Command, c *client, args []string) error {
		if err := errors.Join(atMostOne(cmd, "expires-in", "expires-at", "never-expires"), atMostOne(cmd, "scope", "no-scopes"), atMostOne(cmd, "creator", "no-creator")); err != nil {
			return err
		}
		if err := m.alone(args); err != nil {
			return err
		}
		changed := cmd.Flags().Changed
		if changed("creator") && creator == "" {
			// Not the operator, who holds everything: nobody means that by a variable that isn't set.
			return emptyName("creator")
		}
		q.ExpiresIn, q.ExpiresAt = in.Duration, at.Timestamp
		for flag, field := range map[string]struct {
			into **string
			from *string
		}{
			"name": {&q.Name, &name}, "description": {&q.Description, &description},
			"creator": {&q.Creator, &creator}, "role": {&q.Role, &role},
		} {
			if changed(flag) {
				*field.into = field.from
			}
		}
		if noCreator {
			q.Creator = new(string)
		}
		if changed("scope") || noScopes {
			q.Scopes = &adminv1.ScopeList{Scopes: scopes}
		}
		if len(args) == 0 {
			m.q.As, m.q.DryRun = q.As, q.DryRun
			m.q.Change = &adminv1.ChangeKeysRequest_Update{Update: q}
			return m.run(cmd, c, &waiting{})
		}
		q.Id = args[0]
		a, err := ask(cmd.Context(), c.keys.UpdateKey, q)
		if err != nil {
			return err
		}
		noteDryRun(cmd, q.DryRun)
		return c.printKey(cmd, a.GetKey())
	})
	f := cmd.Flags()
	f.StringVar(&name, "name", "", "new name")
	f.StringVar(&description, "description", "", "new description")
	f.StringVar(&creator, "creator", "", "new creator: hands the key over")
	f.BoolVar(&noCreator, "no-creator", false, "hand the key to the operator: a ceiling bounds it no more")
	f.StringVar(&role, "role", "", "new role")
	f.StringArrayVar(&scopes, "scope", nil, "new scope, in place of all that were chosen; repeat it for more")
	f.BoolVar(&noScopes, "no-scopes", false, "take all chosen scopes away")
	f.Var(&in, "expires-in", "new expiry, counted from now, such as 90d (s m h d w)")
	f.Var(&at, "expires-at", "new expiry (RFC 3339)")
	f.BoolVar(&q.NeverExpires, "never-expires", false, "let it never expire")
	addAs(cmd, &q.As)
	addDryRun(cmd, &q.DryRun)
	return cmd
}
