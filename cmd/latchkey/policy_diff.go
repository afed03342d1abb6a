package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/admin"
	"github.com/latchkey/latchkey/internal/serve"
	"github.com/latchkey/latchkey/internal/strictyaml"
	"github.com/latchkey/latchkey/policyfile"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

func newPolicyDiff() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff OLD NEW [flags]",
		Short: "Say who gains and who loses what, from one policy to another",
		Long: `Say what changes from one policy to another: for each key type, and each role or scope
that access hangs on, which routes are gained and lost; and everything else that
differs in the documents. It is worked out by asking both policies about every kind of
request that either of them can tell apart.

OLD and NEW are files, or - for stdin. Where there is no file OLD it is the name of a
policy in use. Where a server answers, the live keys of the policy OLD that gain and
lose are counted. The exit code is 3 where there are differences.`,
		Example: `  latchkey policy diff old.yaml new.yaml
  latchkey policy diff kodey policy.yaml -o json
  git show HEAD:policy.yaml | latchkey policy diff - policy.yaml`,
		Args: exactly("OLD", "NEW"),
	}
	addClient(cmd, func(cmd *cobra.Command, c *client, args []string) error {
		d, err := c.diffPolicies(cmd, args[0], args[1])
		if err != nil {
			return err
		}
		if err := c.print(cmd.OutOrStdout(), d, func(t *tabwriter.Writer) { differenceTable(t, d) }); err != nil {
			return err
		}
		if d.GetOldVersion() != d.GetNewVersion() {
			return exit{code: exitDiffers}
		}
		return nil
	})
	return cmd
}

// diffPolicies compares two policies. Where no server answers it is done here,
// by the same code, without keys.
func (c *client) diffPolicies(cmd *cobra.Command, old, next string) (*adminv1.PolicyDifference, error) {
	if old == "-" && next == "-" {
		return nil, usagef("OLD and NEW can't both be stdin: name a file for one of them")
	}
	q := &adminv1.DiffPolicyRequest{OldFile: old, NewFile: next}
	text, err := readInput(cmd, next, strictyaml.MaxSize)
	if err != nil {
		return nil, err
	}
	q.NewSource = string(text)
	_, missing := os.Stat(old)
	inUse := old != "-" && errors.Is(missing, fs.ErrNotExist)
	if inUse {
		q.Old = &adminv1.DiffPolicyRequest_InUse{InUse: old}
	} else {
		text, err := readInput(cmd, old, strictyaml.MaxSize)
		if err != nil {
			return nil, err
		}
		q.Old = &adminv1.DiffPolicyRequest_Source{Source: string(text)}
	}
	ctx := cmd.Context()
	if !inUse && !cmd.Flags().Changed("admin") {
		// Nobody may be there, or busy: counts are a help and not what was asked for.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, linkTime)
		defer cancel()
	}
	a, err := ask(ctx, c.policies.DiffPolicy, q)
	switch {
	case err == nil:
		return a.GetDifference(), nil
	case inUse && serve.NobodyListens(err):
		return nil, fmt.Errorf("there is no file %s, and no server that could have a policy of that name: %w", old, c.explain(err))
	case inUse, cmd.Flags().Changed("admin"), !serve.NobodyListens(err):
		return nil, err
	}
	one, err := policyfile.Load(old, []byte(q.GetSource()))
	other, err2 := policyfile.Load(next, text)
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	return admin.Diff(one, other), nil
}
