//go:build linux && (amd64 || arm64)

package faults_test

import (
	"context"
	"errors"
	"os/exec"
	"testing"
	"time"

	"github.com/latchkey/latchkey/internal/faults"
)

// inChild runs work in a child of the running test, which must call it once, as its last act.
func inChild(t *testing.T, work func(), prepare ...func(*exec.Cmd)) {
	t.Helper()
	if faults.InChild() {
		// Before the folders of the test are removed, which must not fail.
		defer func() { faults.GiveUp(faults.Inject("", nil)) }()
		work()
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := faults.Child(ctx, t.Name())
	cmd.Args = append(cmd.Args, "-test.v")
	for _, p := range prepare {
		p(cmd)
	}
	began := time.Now()
	out, err := faults.Run(cmd)
	if errors.Is(err, faults.ErrRefused) {
		t.Skip(err)
	}
	t.Logf("the child, in %v:\n%s", time.Since(began).Round(time.Millisecond), out)
	if err != nil {
		t.Fatal(err)
	}
}

func inject(t *testing.T, dir string, decide func(faults.Call) faults.Fault) {
	t.Helper()
	faults.GiveUp(faults.Inject(dir, decide))
}

func names(events []faults.Event) (names []string) {
	for _, e := range events {
		names = append(names, e.Name)
	}
	return names
}
