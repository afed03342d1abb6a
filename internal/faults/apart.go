//go:build linux && (amd64 || arm64)

package faults

import (
	"context"
	"errors"
	"os/exec"
	"time"
)

// Test is what Apart asks of a *testing.T: this package doesn't import testing, whose flags a program would get.
type Test interface {
	Context() context.Context
	Fatal(args ...any)
	Helper()
	Logf(format string, args ...any)
	Name() string
	Skip(args ...any)
}

// Apart has a test run in a process of its own, and reports whether this is the one that waits for it: the test returns then.
// It fails as the child does, and is skipped where the machine refuses what the child asks for; what the child printed is
// logged. The child has so much time; prepare is given its command before it starts.
func Apart(t Test, patience time.Duration, prepare ...func(*exec.Cmd)) bool {
	t.Helper()
	if InChild() {
		return false
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := Child(ctx, t.Name())
	for _, p := range prepare {
		p(cmd)
	}
	out, err := Run(cmd)
	if errors.Is(err, ErrRefused) {
		t.Skip(err)
	}
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	return true
}
