// Package serve runs the parts of a serving process: its listeners, what it
// tells about its health, its log, and the order in which all of it stops.
//
// Nothing in it knows about keys or policies. No goroutine is started but by
// Group.Run, by what it runs and by UntilSignal.
package serve

import (
	"context"
	"errors"
	"fmt"
)

// Stage says when a part is stopped. All parts of a stage have ended before
// those of the next are told to.
type Stage int

// The stages, in order.
const (
	Announce Stage = iota // what tells others that the process is going away
	Listen                // what answers requests
	Work                  // everything else
	stages
)

// Group runs parts until the first of them ends. The zero value is an empty
// group; Add all parts before Run.
type Group struct {
	parts []part
}

type part struct {
	stage Stage
	name  string
	run   func(context.Context) error
}

// Add adds a part. It has to end soon after its context has, and then to return
// nil if it ended as it should.
func (g *Group) Add(stage Stage, name string, run func(context.Context) error) {
	g.parts = append(g.parts, part{stage, name, run})
}

// Run runs all parts and returns when all have ended. They are stopped, stage
// by stage, when the context ends or as soon as one of them does, which is an
// error even if it returned none. The error holds those of all parts.
func (g *Group) Run(ctx context.Context) error {
	type ending struct {
		part part
		err  error
	}
	endings := make(chan ending)
	var stop [stages]context.CancelFunc
	var running [stages]int
	var contexts [stages]context.Context
	for s := range contexts {
		contexts[s], stop[s] = context.WithCancel(context.WithoutCancel(ctx))
		defer stop[s]()
	}
	for _, p := range g.parts {
		running[p.stage]++
		go func() { endings <- ending{p, p.run(contexts[p.stage])} }()
	}

	var errs []error
	ended := func(e ending, early bool) {
		running[e.part.stage]--
		switch {
		case e.err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", e.part.name, e.err))
		case early:
			errs = append(errs, fmt.Errorf("%s ended by itself", e.part.name))
		}
	}
	if len(g.parts) > 0 {
		select {
		case <-ctx.Done():
		case e := <-endings:
			ended(e, true)
		}
	}
	stopped := Announce
	for s := range stages {
		stopped = s
		stop[s]()
		for running[s] > 0 {
			e := <-endings
			ended(e, e.part.stage > stopped)
		}
	}
	return errors.Join(errs...)
}
