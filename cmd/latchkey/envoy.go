package main

import "github.com/spf13/cobra"

func newEnvoy() *cobra.Command {
	return group("envoy", "Write the configuration of the Envoy that asks Latchkey", newEnvoyConfig())
}
