package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// checkedPolicy is a policy file that is right.
type checkedPolicy struct {
	File    string   `json:"file"`
	Name    string   `json:"name"`
	Version string   `json:"version"`
	Hosts   []string `json:"hosts"`
}

func newPolicyCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check PATH... [flags]",
		Short: "Find every mistake of policy files, without a server",
		Example: `  latchkey policy check policy.yaml
  latchkey policy check policies/ -o json`,
		Args: atLeastOne("PATH"),
	}
	o := addOutput(cmd, "table", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := o.check(); err != nil {
			return err
		}
		all, err := loadPolicies(cmd, args...)
		if err != nil {
			return err
		}
		checked := make([]checkedPolicy, len(all))
		for i, l := range all {
			checked[i] = checkedPolicy{l.Source.File(), l.Policy.Name(), l.Policy.Version(), append([]string{}, l.Policy.Hosts()...)}
		}
		if o.json() {
			text, err := json.Marshal(checked)
			if err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), text)
		}
		return printTable(cmd.OutOrStdout(), func(t *tabwriter.Writer) {
			for _, c := range checked {
				row(t, c.File, fmt.Sprintf("policy %s is right", c.Name))
			}
		})
	}
	return cmd
}
