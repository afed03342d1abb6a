package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/latchkey/latchkey/bench/proc"
	"github.com/latchkey/latchkey/examples"
)

// buildLatchkey builds the binary where none is given.
func (b *bench) buildLatchkey(ctx context.Context) error {
	if b.options.latchkey != "" {
		return nil
	}
	b.say("building latchkey")
	binary := filepath.Join(b.dir, "latchkey")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/latchkey/latchkey/cmd/latchkey").CombinedOutput(); err != nil {
		return fmt.Errorf("building latchkey: %w: give a binary by -latchkey, or run this within the module:\n%s", err, out)
	}
	b.options.latchkey = binary
	return nil
}

func (b *bench) store(keys int) string { return filepath.Join(b.dir, fmt.Sprintf("store-%d", keys)) }

// makeStores makes the stores, and the policy that they are served with.
func (b *bench) makeStores(ctx context.Context) error {
	policy, err := examples.Files.ReadFile("kodey/policy.yaml")
	if err != nil {
		return err
	}
	if err := os.WriteFile(b.policy(), policy, 0o600); err != nil {
		return err
	}
	for _, keys := range b.options.keys {
		b.say("making a store of %d keys", keys)
		c, err := b.child("fill", b.self, "fill", "-data", b.store(keys), "-keys", fmt.Sprint(keys))
		if err != nil {
			return err
		}
		if err := c.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) policy() string { return filepath.Join(b.dir, "kodey.yaml") }

func (b *bench) startLatchkey(store string, at address) (*proc.Child, error) {
	return b.child("latchkey", b.options.latchkey, "serve", "--policy", b.policy(), "--data", store,
		"--listen", at.String(), "--http", "127.0.0.1:0")
}
