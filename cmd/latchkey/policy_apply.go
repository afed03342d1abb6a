package main

import (
	"fmt"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/internal/strictyaml"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

func newPolicyApply() *cobra.Command {
	q := &adminv1.ApplyPolicyRequest{}
	var yes bool
	cmd := &cobra.Command{
		Use:   "apply FILE|- [flags]",
		Short: "Put a policy in use, in place of the one of that name",
		Long: `Put a policy in use, in place of the one of that name, and say what changes and for how
many live keys. On a terminal that is shown first, and has to be confirmed; elsewhere,
and with --yes, it is done.`,
		Example: `  latchkey policy apply policy.yaml --dry-run
  latchkey policy apply policy.yaml`,
		Args: exactly("FILE"),
	}
	addClient(cmd, func(cmd *cobra.Command, c *client, args []string) error {
		text, err := readInput(cmd, args[0], strictyaml.MaxSize)
		if err != nil {
			return err
		}
		q.File, q.Source = args[0], string(text)
		if args[0] != "-" && !yes && !q.DryRun && !c.json() && asks(cmd) {
			if changes, err := c.confirmPolicy(cmd, q); err != nil || !changes {
				return err
			}
			return c.applyPolicy(cmd, q, false)
		}
		return c.applyPolicy(cmd, q, true)
	})
	f := cmd.Flags()
	f.BoolVar(&q.Strand, "strand", false, "do it although live keys lose their type, role, scope or format")
	f.BoolVar(&yes, "yes", false, "do it without a question")
	addDryRun(cmd, &q.DryRun)
	return cmd
}

// confirmPolicy shows what would change, and asks. What was shown is what is
// done afterwards, or nothing. It reports whether there is anything to do.
func (c *client) confirmPolicy(cmd *cobra.Command, q *adminv1.ApplyPolicyRequest) (changes bool, err error) {
	q.DryRun = true
	a, err := ask(cmd.Context(), c.policies.ApplyPolicy, q)
	if q.DryRun = false; err != nil {
		return false, err
	}
	if !a.GetChanged() {
		return false, printTable(cmd.OutOrStdout(), func(t *tabwriter.Writer) { appliedTable(t, a, false) })
	}
	if err := printTable(cmd.OutOrStdout(), func(t *tabwriter.Writer) { differenceTable(t, a.GetDifference()) }); err != nil {
		return false, err
	}
	if q.Replaces = a.GetDifference().GetOldVersion(); q.Replaces == "" {
		q.Replaces = "none"
	}
	return true, confirm(cmd, "Put it in use?")
}

// applyPolicy puts a policy in use, and says what became of it.
func (c *client) applyPolicy(cmd *cobra.Command, q *adminv1.ApplyPolicyRequest, difference bool) error {
	a, err := ask(cmd.Context(), c.policies.ApplyPolicy, q)
	if err != nil {
		return err
	}
	noteDryRun(cmd, q.DryRun)
	noteFile(cmd, a, q.File)
	return c.print(cmd.OutOrStdout(), a, func(t *tabwriter.Writer) {
		appliedTable(t, a, q.DryRun)
		if difference && a.GetDifference().GetOld() != "" {
			_, _ = fmt.Fprintln(t)
			differenceTable(t, a.GetDifference())
		}
	})
}

// noteFile tells where a policy comes from that the process reads from a file, by
// its --policy: a restart puts what stands there in use again.
func noteFile(cmd *cobra.Command, a *adminv1.ApplyPolicyResponse, applied string) {
	from := a.GetReplacedFile()
	if whole, err := filepath.Abs(applied); from == "" || from == applied || err == nil && from == whole {
		return
	}
	note(cmd, "The process reads the policy %s from %s: change it there too, or a restart puts that one in use again.", a.GetPolicy().GetName(), from)
}

func appliedTable(t *tabwriter.Writer, a *adminv1.ApplyPolicyResponse, dryRun bool) {
	became := "was in use already"
	if a.GetChanged() && dryRun {
		became = "can be put in use"
	} else if a.GetChanged() {
		became = "is in use"
	}
	row(t, "policy "+a.GetPolicy().GetName(), became)
	row(t, "version", a.GetPolicy().GetVersion())
	row(t, "revision", fmt.Sprint(a.GetPosition().GetRevision()))
}
