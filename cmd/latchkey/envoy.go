package main

import "github.com/spf13/cobra"

func newEnvoy() *cobra.Command {
	return group("envoy", "Write and check the configuration of the Envoy that asks Latchkey", newEnvoyConfig(), newEnvoyLint())
}
