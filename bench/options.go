package main

import (
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey/latchkey/bench/stock"
)

// options are the flags of the command.
type options struct {
	rounds   int
	duration time.Duration
	quick    bool
	only     *regexp.Regexp
	keys     []int
	latchkey string
	opa      string
	envoy    string
	json     string
	svg      string
}

func parseOptions(args []string, stderr io.Writer) (*options, error) {
	o := &options{keys: []int{10_000, 1_000_000}}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&o.rounds, "rounds", 5, "how many times each subject is measured in each scenario")
	f.DurationVar(&o.duration, "duration", 2*time.Second, "how long each measurement is")
	f.BoolVar(&o.quick, "quick", false, "one short round of a few scenarios with 1,000 keys: to see that it works")
	f.Func("only", "regular expression of the measurements to make, as SCENARIO/SUBJECT", func(text string) (err error) {
		o.only, err = regexp.Compile(text)
		return err
	})
	f.Func("keys", "numbers of keys, separated by commas (default 10000,1000000)", func(text string) (err error) {
		o.keys, err = parseKeys(text)
		return err
	})
	f.StringVar(&o.latchkey, "latchkey", "", "latchkey binary (default: built from this module)")
	f.StringVar(&o.envoy, "envoy", "", "Envoy binary (default: $LATCHKEY_ENVOY, .tools/bin/envoy or the one on PATH)")
	f.StringVar(&o.opa, "opa", "", "binary of OPA's Envoy plugin (default: left out)")
	f.StringVar(&o.json, "json", filepath.Join("bench", "out", "bench.json"), "file for all measurements; empty for none")
	f.StringVar(&o.svg, "svg", filepath.Join("bench", "out", "bench.svg"), "file for the chart; empty for none")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("%q is no flag: see bench -help", f.Arg(0))
	}
	if o.quick {
		given := map[string]bool{}
		f.Visit(func(f *flag.Flag) { given[f.Name] = true })
		if !given["rounds"] {
			o.rounds = 1
		}
		if !given["duration"] {
			o.duration = 300 * time.Millisecond
		}
		if !given["keys"] {
			o.keys = []int{1000}
		}
	}
	if o.rounds < 1 || o.duration <= 0 {
		return nil, fmt.Errorf("-rounds %d and -duration %s: both must be positive", o.rounds, o.duration)
	}
	return o, nil
}

func parseKeys(text string) ([]int, error) {
	var keys []int
	for one := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(one))
		if err != nil || n < stock.FewestKeys {
			return nil, fmt.Errorf("%q is no number of keys from %d on", one, stock.FewestKeys)
		}
		keys = append(keys, n)
	}
	return keys, nil
}
