package main

import (
	"encoding/json"
	"runtime"
	"runtime/debug"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// build tells what this binary is made of.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit"` // empty where it isn't known
	Go      string `json:"go"`
}

func thisBuild() build {
	b := build{Version: version, Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.Commit = s.Value
		}
	}
	if b.Version == "unknown" && info.Main.Version != "" && info.Main.Version != "(devel)" {
		b.Version = info.Main.Version // as `go install` knows it
	}
	return b
}

func newVersion() *cobra.Command {
	cmd := &cobra.Command{Use: "version", Short: "Print the version", Args: exactly()}
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
