package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/latchkey/latchkey/bench/proc"
)

// bench is one run of the command.
type bench struct {
	options *options
	stderr  io.Writer
	self    string // our own binary
	pid     int
	dir     string // temporary
	works   map[int]*work
	sockets int
	logs    int
	report  *report
}

func runBench(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	b := &bench{options: o, stderr: stderr, pid: os.Getpid(), works: map[int]*work{}, report: newReport(o)}
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	// Sockets have short paths, so it isn't where the output goes.
	if b.dir, err = os.MkdirTemp("", "lkbench"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()

	// The generator's garbage is little, and its requests many: without this it collects
	// them again and again on a core that a server could use.
	debug.SetGCPercent(400)
	if err := b.run(ctx); err != nil {
		return err
	}
	if err := b.report.print(stdout); err != nil {
		return err
	}
	return b.report.write(o)
}

func (b *bench) run(ctx context.Context) error {
	subjects, err := b.subjects()
	if err != nil {
		return err
	}
	todo := map[way][]scenario{}
	for _, s := range scenarios() {
		if (s.quick || !b.options.quick) && slices.ContainsFunc(subjects, func(subject *subject) bool { return b.wanted(s, subject) }) {
			todo[s.way] = append(todo[s.way], s)
		}
	}
	if len(todo) == 0 {
		return fmt.Errorf("-only %s fits no measurement: the first would be %s/%s", b.options.only, scenarios()[0].name(), subjects[0].name)
	}
	if err := b.findEnvoy(); err != nil {
		b.skip(string(viaEnvoy), err.Error())
		delete(todo, viaEnvoy)
	}
	b.sayHowLong(todo, subjects)
	if err := b.buildLatchkey(ctx); err != nil {
		return err
	}
	if err := b.makeStores(ctx); err != nil {
		return err
	}
	for _, w := range ways {
		if err := b.runWay(ctx, w, todo[w], subjects); err != nil {
			return err
		}
	}
	return nil
}

// sayHowLong says how much there is to do.
func (b *bench) sayHowLong(todo map[way][]scenario, subjects []*subject) {
	scenarios, measurements := 0, 0
	for _, some := range todo {
		scenarios += len(some)
		for _, c := range some {
			for _, s := range subjects {
				if b.wanted(c, s) {
					measurements += b.options.rounds
				}
			}
		}
	}
	takes := time.Duration(measurements) * (b.options.duration + b.options.duration/warmup)
	b.say("%d scenarios, %d measurements, about %s", scenarios, measurements, takes.Round(time.Second))
}

// wanted reports whether a subject is measured in a scenario.
func (b *bench) wanted(s scenario, subject *subject) bool {
	if s.way != viaEnvoy && subject.start == nil {
		return false
	}
	return b.options.only == nil || b.options.only.MatchString(s.name()+"/"+subject.name)
}

// runWay starts every subject that is measured in one of the scenarios, measures them
// all in turns, and ends them.
func (b *bench) runWay(ctx context.Context, w way, scenarios []scenario, subjects []*subject) error {
	running := map[*subject]*instance{}
	defer func() {
		for _, i := range running {
			i.end()
		}
	}()
	for _, s := range subjects {
		if !slices.ContainsFunc(scenarios, func(c scenario) bool { return b.wanted(c, s) }) {
			continue
		}
		b.say("%s: starting %s", w, s.name)
		i, err := b.start(ctx, s, w)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		running[s] = i
	}
	runtime.GC()
	for _, c := range scenarios {
		measured := slices.DeleteFunc(slices.Clone(subjects), func(s *subject) bool { return !b.wanted(c, s) })
		b.say("%s: %d subjects, %d rounds of %s", c.name(), len(measured), b.options.rounds, b.options.duration)
		reported := b.report.begin(c, measured)
		for round := range b.options.rounds {
			for turn := range measured {
				at := (round + turn) % len(measured)
				m, err := b.measure(ctx, running[measured[at]], c, round)
				if err != nil {
					return fmt.Errorf("%s/%s: %w", c.name(), measured[at].name, err)
				}
				reported.Results[at].Measurements = append(reported.Results[at].Measurements, m)
			}
		}
		reported.hold()
	}
	return nil
}

// work returns the requests to an API with so many keys.
func (b *bench) work(keys int) (*work, error) {
	if b.works[keys] == nil {
		w, err := newWork(keys)
		if err != nil {
			return nil, err
		}
		b.works[keys] = w
	}
	return b.works[keys], nil
}

// child starts a process whose output is kept until we end.
func (b *bench) child(name, binary string, args ...string) (*proc.Child, error) {
	b.logs++
	return proc.Start(name, filepath.Join(b.dir, fmt.Sprintf("%s-%d.log", name, b.logs)), binary, args...)
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.stderr, "bench: "+format+"\n", args...)
}

// skip leaves something out, and says so here and in the report.
func (b *bench) skip(what, why string) {
	b.say("without %s: %s", what, why)
	b.report.Skipped = append(b.report.Skipped, what+": "+why)
}
