package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

func newKeys() *cobra.Command {
	return group("keys", "Make and manage keys",
		newKeysCreate(), newKeysList(), newKeysShow(), newKeysRotate(), newKeysRevoke(),
		newKeysDisable(), newKeysEnable(), newKeysUpdate(), newKeysImport(), newKeysExport(), newKeysUsage(),
	)
}

// addAs gives a command the flag that names the acting principal.
func addAs(cmd *cobra.Command, as *string) {
	cmd.Flags().StringVar(as, "as", "", "principal on whose behalf it is done, such as user:ada; without it you are the operator")
}

func addDryRun(cmd *cobra.Command, dryRun *bool) {
	cmd.Flags().BoolVar(dryRun, "dry-run", false, "check everything and change nothing")
}

// printKey writes one key, and in a table what more there is to say of it.
func (c *client) printKey(cmd *cobra.Command, k *adminv1.Key, more ...func(*tabwriter.Writer)) error {
	err := c.print(cmd.OutOrStdout(), k, func(t *tabwriter.Writer) {
		fact(t, "id", k.GetId())
		fact(t, "token", k.GetToken())
		fact(t, "policy", k.GetPolicy())
		fact(t, "type", k.GetType())
		fact(t, "environment", k.GetEnvironment())
		fact(t, "status", k.GetStatus())
		fact(t, "shown as", shownAs(k.GetPrefix(), k.GetLast4()))
		fact(t, "tenant", k.GetTenant())
		fact(t, "principal", k.GetPrincipal())
		fact(t, "creator", k.GetCreator())
		fact(t, "role", k.GetRole())
		fact(t, "scopes", strings.Join(k.GetScopes(), " "))
		fact(t, "name", k.GetName())
		fact(t, "description", k.GetDescription())
		fact(t, "created", moment(k.GetCreatedAt()))
		fact(t, "expires", moment(k.GetExpiresAt()))
		fact(t, "revoked", moment(k.GetRevokedAt()))
		fact(t, "last used", moment(k.GetLastUsedAt()))
		if old := k.GetRetiring(); old != nil {
			fact(t, "old secret", shownAs(old.GetPrefix(), old.GetLast4())+" until "+moment(old.GetUntil()))
		}
		if k.GetSystem() {
			fact(t, "system", "yes")
		}
		for _, f := range more {
			f(t)
		}
	})
	return err
}

// noteToken tells people that a new token is not shown again.
func (c *client) noteToken(cmd *cobra.Command, k *adminv1.Key) {
	if k.GetToken() != "" && !c.json() {
		note(cmd, "Keep the token now: only its prefix and last four characters are stored.")
	}
}

// unseen adds to the error of printing a key, if there is one, that it was given a token all the same.
func unseen(k *adminv1.Key, err error) error {
	if err == nil || k.GetToken() == "" {
		return err
	}
	return fmt.Errorf("%w\nit is done all the same, and the token of %s may not have been printed: rotate the key, or revoke it, if you haven't got it", err, k.GetId())
}

func noteDryRun(cmd *cobra.Command, dryRun bool) {
	if dryRun {
		note(cmd, "Nothing was changed: this was a dry run.")
	}
}

func (c *client) printKeys(cmd *cobra.Command, keys []*adminv1.Key) error {
	if c.json() {
		list, err := listJSON(keys)
		if err != nil {
			return err
		}
		return printJSON(cmd.OutOrStdout(), list)
	}
	return printTable(cmd.OutOrStdout(), func(t *tabwriter.Writer) {
		row(t, "ID", "POLICY", "TYPE", "STATUS", "SHOWN AS", "OWNER", "EXPIRES", "LAST USED", "NAME")
		for _, k := range keys {
			row(t, k.GetId(), k.GetPolicy(), k.GetType(), k.GetStatus(), shownAs(k.GetPrefix(), k.GetLast4()),
				k.GetTenant()+k.GetPrincipal(), moment(k.GetExpiresAt()), moment(k.GetLastUsedAt()), k.GetName())
		}
	})
}

func shownAs(prefix, last4 string) string {
	if last4 == "" {
		return prefix
	}
	return prefix + "…" + last4
}
