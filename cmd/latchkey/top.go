package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/internal/scrape"
	"github.com/latchkey/latchkey/internal/serve"
)

const (
	defaultInterval = 2 * time.Second
	leastInterval   = 100 * time.Millisecond
	// readTime is how long a process may take to say what it does.
	readTime = 2 * time.Second
)

// top is what `latchkey top` is told.
type top struct {
	*output
	addresses []string
	interval  time.Duration
	once      bool

	processes []*topProcess
}

// topProcess is one process that is looked at, and what it said last.
type topProcess struct {
	address string
	source  *scrape.Process
	before  *scrape.Reading // nil: nothing yet
	now     *scrape.Reading
	problem error // of the last reading
}

func newTop() *cobra.Command {
	t := &top{}
	cmd := &cobra.Command{
		Use:   "top [flags]",
		Short: "Watch what processes decide, how quickly, and how current they are",
		Long: `Watch what processes decide, how quickly, and how current they are: latchkey serve
and latchkey-sidecar, by their --http addresses.

On a terminal it paints its view anew every --interval, until q or Ctrl-C.
Elsewhere it prints one view after another; with -o json each is a document on a
line of its own. --once prints one view, of one interval, and ends: the exit code
is 1 where a process can't be read.`,
		Example: `  latchkey top
  latchkey top --http 127.0.0.1:9902 --http unix:/run/pod-1/http.sock
  latchkey top --once -o json`,
		Args: exactly(),
	}
	t.output = addOutput(cmd, "table", "json")
	f := cmd.Flags()
	f.StringArrayVar(&t.addresses, "http", nil, "--http address of a process, host:port or unix:PATH; repeat it for more (default "+serve.DefaultHTTP+")")
	f.DurationVar(&t.interval, "interval", defaultInterval, "time between two views, over which rates are taken")
	f.BoolVar(&t.once, "once", false, "print one view, and end")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := t.check(); err != nil {
			return err
		}
		if t.interval < leastInterval {
			return usagef("the value of --interval is wrong: %s or more", leastInterval)
		}
		if len(t.addresses) == 0 {
			t.addresses = []string{serve.DefaultHTTP}
		}
		for _, text := range t.addresses {
			address, err := serve.ParseAddress(text)
			if err != nil {
				return usagef("--http: %w", err)
			}
			t.processes = append(t.processes, &topProcess{address: address.String(), source: scrape.New(address)})
		}
		return t.run(cmd)
	}
	return cmd
}

// run shows views until it is ended.
func (t *top) run(cmd *cobra.Command) error {
	// net/http tells the standard log, and so stderr, which may be the screen, what
	// it thinks of servers that speak something else: each has its line in the view.
	slog.SetDefault(slog.New(slog.DiscardHandler))
	ctx, w := cmd.Context(), cmd.OutOrStdout()
	if !t.once && !t.json() {
		if s, ok := openScreen(cmd.InOrStdin(), w); ok {
			return t.watch(ctx, s)
		}
	}
	t.read(ctx)
	tick := time.NewTicker(t.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		t.read(ctx)
		if ctx.Err() != nil {
			return nil // what was read is half of it
		}
		seen := t.look(time.Now())
		if err := t.print(w, seen); err != nil || !t.once {
			if err != nil {
				return err
			}
			continue
		}
		if seen.troubled() {
			return exit{code: exitFailed}
		}
		return nil
	}
}

// print writes a view.
func (t *top) print(w io.Writer, seen *topView) error {
	if !t.json() {
		_, err := io.WriteString(w, strings.Join(seen.lines(0, plainText), "\n")+"\n\n")
		return err
	}
	text, err := json.Marshal(seen)
	if err != nil {
		return err
	}
	if t.once {
		return printJSON(w, text)
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// watch paints views on a screen until somebody leaves it.
func (t *top) watch(ctx context.Context, s *screen) (err error) {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	var seen *topView
	read := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(ctx)
	var reading sync.WaitGroup
	defer reading.Wait()
	defer cancel()
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.left:
			return nil
		case <-next.C:
			// A process that says nothing must not keep anybody from leaving.
			reading.Go(func() { t.read(ctx); read <- struct{}{} })
			continue
		case <-read:
			seen = t.look(time.Now())
			next.Reset(t.interval)
		case <-s.resized:
		}
		if seen != nil {
			if err := s.paint(seen.lines); err != nil {
				return err
			}
		}
	}
}

// read asks every process, all at once.
func (t *top) read(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	var all sync.WaitGroup
	for _, p := range t.processes {
		all.Go(func() {
			reading, err := p.source.Read(ctx)
			if p.problem = err; err == nil {
				p.before, p.now = p.now, reading
			}
		})
	}
	all.Wait()
}
