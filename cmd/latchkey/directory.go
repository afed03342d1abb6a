package main

import "github.com/spf13/cobra"

func newDirectory() *cobra.Command {
	return group("directory", "Keep tenants and principals", newDirectoryApply(), newDirectoryGet())
}
