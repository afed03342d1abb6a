package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/internal/serve"
	"github.com/latchkey/latchkey/internal/strictyaml"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
)

func newDirectoryApply() *cobra.Command {
	q := &adminv1.ApplyDirectoryRequest{Directory: &directoryv1.Directory{}}
	var file string
	cmd := &cobra.Command{
		Use:   "apply -f FILE [flags]",
		Short: "Replace each tenant and principal that a file names",
		Long: `Replace each tenant and principal that a file names, whole. A membership of a tenant
that isn't there, which another file may bring, and a principal that is named like a
tenant are done, and warned of on stderr.`,
		Example: `  latchkey directory apply -f directory.yaml --dry-run
  latchkey directory apply -f directory.yaml --prune`,
		Args: exactly(),
	}
	addClient(cmd, func(cmd *cobra.Command, c *client, _ []string) error {
		if file == "" {
			return usagef("-f is missing: name a file, or - for stdin")
		}
		if q.Force && !q.Prune {
			return usagef("--force is about what --prune removes: give both, or neither")
		}
		text, err := readInput(cmd, file, strictyaml.MaxSize)
		if err != nil {
			return err
		}
		source, err := strictyaml.Decode(file, text, q.Directory)
		if err != nil {
			return err
		}
		a, err := ask(cmd.Context(), c.directory.ApplyDirectory, q)
		if err != nil {
			return locatedError(source, q.Directory, err)
		}
		for _, w := range a.GetWarnings() {
			note(cmd, "warning: %s", serve.Redact(located(source, q.Directory, w))) // with a line of the file
		}
		noteDryRun(cmd, q.DryRun)
		return c.print(cmd.OutOrStdout(), a, func(t *tabwriter.Writer) {
			for _, one := range []struct {
				what  string
				names []string
			}{{"added", a.GetAdded()}, {"changed", a.GetChanged()}, {"removed", a.GetRemoved()}} {
				for _, name := range one.names {
					row(t, one.what, name)
				}
			}
			row(t, "unchanged", fmt.Sprint(a.GetUnchanged()))
		})
	})
	f := cmd.Flags()
	f.StringVarP(&file, "file", "f", "", "the directory as YAML; - for stdin")
	f.BoolVar(&q.Prune, "prune", false, "also remove what the file doesn't name")
	f.BoolVar(&q.Force, "force", false, "prune although live keys hang on what is removed")
	addDryRun(cmd, &q.DryRun)
	return cmd
}
