package main

import (
	"encoding/json"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/internal/serve"
)

func thisBuild() serve.Build { return serve.ThisBuild(version) }

func newVersion() *cobra.Command {
	cmd := &cobra.Command{Use: "version", Short: "Print the version", Example: "  latchkey version -o json", Args: exactly()}
	o := addOutput(cmd, "table", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := o.check(); err != nil {
			return err
		}
		b := thisBuild()
		if o.json() {
			text, err := json.Marshal(b)
			if err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), text)
		}
		return printTable(cmd.OutOrStdout(), func(t *tabwriter.Writer) {
			fact(t, "version", b.Version)
			fact(t, "commit", b.Commit)
			fact(t, "go", b.Go)
		})
	}
	return cmd
}
