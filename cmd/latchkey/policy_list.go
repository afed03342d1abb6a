package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func newPolicyList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [flags]",
		Short: "List the policies in use",
		Example: `  latchkey policy list
  latchkey policy list -o json`,
		Args: exactly(),
	}
	addClient(cmd, func(cmd *cobra.Command, c *client, _ []string) error {
		policies, err := c.listPolicies(cmd)
		if err != nil {
			return err
		}
		if c.json() {
			list, err := listJSON(policies)
			if err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), list)
		}
		return printTable(cmd.OutOrStdout(), func(t *tabwriter.Writer) {
			row(t, "NAME", "VERSION", "HOSTS", "KEY TYPES", "LIVE KEYS", "FILE")
			for _, p := range policies {
				file := p.GetFile()
				if p.GetError() != "" {
					file += " (newest content not in use)"
				}
				row(t, p.GetName(), shortVersion(p.GetVersion()), strings.Join(p.GetHosts(), " "), strings.Join(p.GetKeyTypes(), " "), fmt.Sprint(p.GetKeys()), file)
			}
		})
	})
	return cmd
}

// shortVersion is as much of a digest as people compare.
func shortVersion(version string) string {
	if len(version) > 12 {
		return version[:12]
	}
	return version
}
