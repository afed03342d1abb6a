package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// options are the flags of the command.
type options struct {
	parts     []string
	revokes   int
	every     time.Duration
	fleets    []int
	real      int
	crowds    []int
	links     []link
	writes    int
	idle      time.Duration
	keys      int
	stores    []int
	rounds    int
	latchkey  string
	sidecar   string
	json      string
	quick     bool
	profileTo string
}

// The parts of the measurement.
const (
	partRevokes = "revokes"
	partCost    = "cost"
	partDeltas  = "deltas"
	partFresh   = "fresh"
)

var allParts = []string{partRevokes, partCost, partDeltas, partFresh}

// link is how replicas reach the hub.
type link string

// The links.
const (
	overUnix link = "unix"
	overTLS  link = "tls" // TCP with mutual TLS
)

func parseOptions(args []string, stderr io.Writer) (*options, error) {
	o := &options{
		parts: allParts, fleets: []int{3, 100, 1000}, crowds: []int{100, 1000, 5000},
		links: []link{overUnix, overTLS}, stores: []int{10_000, 100_000, 1_000_000},
	}
	f := flag.NewFlagSet("fleet", flag.ContinueOnError)
	f.SetOutput(stderr)
	list(f, "parts", "parts to measure, of "+strings.Join(allParts, ","), &o.parts, func(text string) (string, error) {
		if !slices.Contains(allParts, text) {
			return "", fmt.Errorf("there is no part %q", text)
		}
		return text, nil
	})
	f.IntVar(&o.revokes, "revokes", 200, "how many keys are revoked for each fleet")
	f.DurationVar(&o.every, "every", 200*time.Millisecond, "time from one revoke to the next, at least")
	list(f, "fleets", "how many replicas there are at a revoke (default 3,100,1000)", &o.fleets, positive)
	f.IntVar(&o.real, "real", 5, "how many of them are real sidecars, each behind an Envoy")
	list(f, "crowds", "how many followers a hub's cost is measured with (default 100,1000,5000)", &o.crowds, positive)
	list(f, "links", "how they reach it: unix, tls (default both)", &o.links, func(text string) (link, error) {
		if l := link(text); l == overUnix || l == overTLS {
			return l, nil
		}
		return "", fmt.Errorf("there is no link %q", text)
	})
	f.IntVar(&o.writes, "writes", 50, "how many writes a hub's cost is measured over")
	f.DurationVar(&o.idle, "idle", 9*time.Second, "how long a hub's cost is measured for while nothing is written")
	f.IntVar(&o.keys, "keys", 100_000, "how many keys the hub has")
	list(f, "stores", "how many keys a new sidecar fetches (default 10000,100000,1000000)", &o.stores, positive)
	f.IntVar(&o.rounds, "rounds", 3, "how many new sidecars are started for each store")
	f.StringVar(&o.profileTo, "profile", "", "folder for CPU and heap profiles of the hub (default: none are made)")
	f.StringVar(&o.latchkey, "latchkey", "", "latchkey binary (default: built from this module)")
	f.StringVar(&o.sidecar, "sidecar", "", "latchkey-sidecar binary (default: built from this module)")
	f.StringVar(&o.json, "json", filepath.Join("bench", "out", "fleet.json"), "file for all figures; empty for none")
	f.BoolVar(&o.quick, "quick", false, "little of everything: to see that it works")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("%q is no flag: see fleet -help", f.Arg(0))
	}
	if o.quick {
		o.little(f)
	}
	if o.revokes < 1 || o.real < 0 || o.writes < 1 || o.rounds < 1 || o.idle <= 0 || o.every < 0 {
		return nil, errors.New("-revokes, -writes, -rounds and -idle must be positive, -real and -every not negative")
	}
	if need := inUse + len(o.fleets)*(o.revokes+warmups) + 1; o.keys < need && slices.Contains(o.parts, partRevokes) {
		return nil, fmt.Errorf("-keys %d: %d are revoked or in use", o.keys, need)
	}
	return o, nil
}

// little sets what isn't given to as little as shows that it works.
func (o *options) little(f *flag.FlagSet) {
	given := map[string]bool{}
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	few := func(name string, set func()) {
		if !given[name] {
			set()
		}
	}
	few("revokes", func() { o.revokes = 5 })
	few("every", func() { o.every = 0 })
	few("fleets", func() { o.fleets = []int{4} })
	few("real", func() { o.real = 1 })
	few("crowds", func() { o.crowds = []int{10} })
	few("writes", func() { o.writes = 5 })
	few("idle", func() { o.idle = askEvery })
	few("keys", func() { o.keys = 1000 })
	few("stores", func() { o.stores = []int{1000} })
	few("rounds", func() { o.rounds = 1 })
}

// list adds a flag with values that are separated by commas.
func list[T any](f *flag.FlagSet, name, usage string, into *[]T, parse func(string) (T, error)) {
	f.Func(name, usage, func(text string) error {
		*into = nil
		for one := range strings.SplitSeq(text, ",") {
			value, err := parse(strings.TrimSpace(one))
			if err != nil {
				return err
			}
			*into = append(*into, value)
		}
		return nil
	})
}

func positive(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q is no number from 1 on", text)
	}
	return n, nil
}
