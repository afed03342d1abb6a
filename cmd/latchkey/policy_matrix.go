package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/policyfile"
)

func newPolicyMatrix() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "matrix FILE [flags]",
		Short: "Print what each key type opens, as documentation does",
		Example: `  latchkey policy matrix policy.yaml
  latchkey policy matrix policy.yaml -o json`,
		Args: exactly("FILE"),
	}
	o := addOutput(cmd, "markdown", "json", "table")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := o.check(); err != nil {
			return err
		}
		all, err := loadPolicies(cmd, args[0])
		if err != nil {
			return err
		}
		if len(all) != 1 {
			return fmt.Errorf("%s holds %d policies: name the file of one", args[0], len(all))
		}
		table := policyfile.Matrix(all[0].Doc, all[0].Policy)
		if !o.json() {
			_, err := io.WriteString(cmd.OutOrStdout(), table.Markdown())
			return err
		}
		text, err := table.JSON()
		if err != nil {
			return err
		}
		return printJSON(cmd.OutOrStdout(), text)
	}
	return cmd
}
