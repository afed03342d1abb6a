package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"

	"github.com/latchkey/latchkey/bench/proc"
	"github.com/latchkey/latchkey/examples"
)

// fleet is one run of the command.
type fleet struct {
	options      *options
	stderr       io.Writer
	self         string // our own binary
	dir          string // temporary
	policy       string
	certificates *certificates
	stores       map[int]*store
	sockets      int
	logs         int
	report       *report
}

func runFleet(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	f := &fleet{options: o, stderr: stderr, stores: map[int]*store{}, report: newReport()}
	if f.self, err = os.Executable(); err != nil {
		return err
	}
	// Sockets have short paths, so it isn't where the output goes.
	if f.dir, err = os.MkdirTemp("", "lkfleet"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(f.dir)) }()
	if err := f.prepare(ctx); err != nil {
		return err
	}
	// The garbage of thousands of followers is little, and theirs is the time that a hub could use.
	debug.SetGCPercent(400)
	err = f.run(ctx)
	return errors.Join(err, f.report.print(stdout), f.report.write(o.json))
}

// run measures one part after the other.
func (f *fleet) run(ctx context.Context) error {
	for _, part := range f.options.parts {
		measure := map[string]func(context.Context) error{
			partRevokes: f.measureRevokes, partCost: f.measureCost, partDeltas: f.measureDeltas, partFresh: f.measureFresh,
		}[part]
		if err := measure(ctx); err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
	}
	return nil
}

// prepare makes what every part needs.
func (f *fleet) prepare(ctx context.Context) (err error) {
	for _, one := range []struct {
		into *string
		name string
	}{{&f.options.latchkey, "latchkey"}, {&f.options.sidecar, "latchkey-sidecar"}} {
		if *one.into != "" {
			continue
		}
		f.say("building %s", one.name)
		*one.into = filepath.Join(f.dir, one.name)
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", *one.into, "github.com/latchkey/latchkey/cmd/"+one.name).CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w: give a binary by a flag, or run this within the module:\n%s", one.name, err, out)
		}
	}
	policy, err := examples.Files.ReadFile("kodey/policy.yaml")
	if err != nil {
		return err
	}
	f.policy = filepath.Join(f.dir, "kodey.yaml")
	if err := os.WriteFile(f.policy, policy, 0o600); err != nil {
		return err
	}
	f.certificates, err = makeCertificates(f.dir)
	return err
}

// socket returns a path for a socket that nobody has used.
func (f *fleet) socket() string {
	f.sockets++
	return filepath.Join(f.dir, fmt.Sprintf("%d.sock", f.sockets))
}

// child starts a process whose output is kept until we end.
func (f *fleet) child(name, binary string, args ...string) (*proc.Child, error) {
	return proc.Start(name, f.logOf(name), binary, args...)
}

func (f *fleet) logOf(name string) string {
	f.logs++
	return filepath.Join(f.dir, fmt.Sprintf("%s-%d.log", name, f.logs))
}

func (f *fleet) say(format string, args ...any) {
	fmt.Fprintf(f.stderr, "fleet: "+format+"\n", args...)
}
