package main

import (
	"flag"
	"testing"

	"github.com/latchkey/latchkey/internal/reference"
)

var update = flag.Bool("update", false, "write the generated part of docs/cli.md")

// TestReference holds the reference of the command against the command.
func TestReference(t *testing.T) {
	if err := reference.Keep("../../docs/cli.md", "the command latchkey-sidecar", reference.Commands(newCommand(), 2, nil), *update); err != nil {
		t.Error(err)
	}
}
