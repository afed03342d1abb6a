package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/internal/disk"
)

// CheckListener is the name of the listener that Envoy calls.
const CheckListener = "check"

// lookEvery is how often it is looked whether sockets are in their places: who connects in between is refused.
const lookEvery = time.Second

// Listeners are those of a process: all of them are open before anything is served, or none. Open opens them, before anything
// else; then Watch, Problems and Collectors are safe for concurrent use.
type Listeners struct {
	// Log is told of each; required.
	Log *slog.Logger
	// Reachable is told whether who isn't connected yet reaches the listener of checks, whenever that changes; nil for nobody.
	Reachable func(bool)

	list  []NamedListener
	calls disk.Calls

	mu   sync.Mutex
	lost map[string]error // by name: why nobody reaches it any more
}

// NamedListener is a listener, with what it serves.
type NamedListener struct {
	Name string
	*Listener
}

// Open opens one more. Where it can't, the others are closed too.
func (ls *Listeners) Open(name string, at Address, mode fs.FileMode) (*Listener, error) {
	l, err := at.Listen(mode)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			err = fmt.Errorf("%w: end the process that has it, or name another address", err)
		}
		return nil, ls.Close(fmt.Errorf("%s: %w", flagOf(name), err))
	}
	ls.list = append(ls.list, NamedListener{name, l})
	ls.Log.Info("listening", "for", name, "address", l.Address().String())
	return l, nil
}

// flagOf is the flag by which people name the address of a listener.
func flagOf(name string) string {
	switch name {
	case CheckListener:
		return "--listen"
	case "hub":
		return "--hub-listen"
	}
	return "--" + name
}

// All returns those that are open, in the order in which they were opened.
func (ls *Listeners) All() []NamedListener { return ls.list }

// Close closes all of them because of an error, and returns it with what else went wrong.
func (ls *Listeners) Close(why error) error {
	for _, l := range ls.list {
		why = errors.Join(why, l.Close())
	}
	return why
}

// Watch looks, until the context ends, whether each socket is in its place: one that was removed, or that something else took the
// place of, isn't reached by who connects now, and the process would seem well. It is made again where that harms nobody.
func (ls *Listeners) Watch(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for _, l := range ls.list {
			if l.sockets != nil {
				ls.look(ctx, l)
			}
		}
	}
}

func (ls *Listeners) look(ctx context.Context, l NamedListener) {
	made, err := disk.Call(ctx, &ls.calls, l.Address().String(), l.sockets.renew)
	if ctx.Err() != nil {
		return
	}
	before := ls.note(l.Name, err)
	log := ls.Log.With("for", l.Name, "address", l.Address().String())
	switch {
	case err != nil && (before == nil || before.Error() != err.Error()):
		log.Error("a socket was removed or replaced, and nobody reaches it any more; who is connected stays so", "error", err)
	case err == nil && before != nil:
		log.Info("a socket is reached again")
	case made:
		log.Warn("a socket was removed or replaced, and was made again: see who did that")
	}
	if l.Name == CheckListener && ls.Reachable != nil && (err == nil) != (before == nil) {
		ls.Reachable(err == nil)
	}
}

// note notes why nobody reaches a listener, nil if it is reached, and returns what was known before.
func (ls *Listeners) note(name string, now error) (before error) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	before = ls.lost[name]
	if ls.lost == nil {
		ls.lost = map[string]error{}
	}
	if ls.lost[name] = now; now == nil {
		delete(ls.lost, name)
	}
	return before
}

// Problems returns which listeners nobody reaches, and why, for people.
func (ls *Listeners) Problems() (problems []string) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, l := range ls.list {
		if err := ls.lost[l.Name]; err != nil {
			problems = append(problems, fmt.Sprintf("the socket of %s was removed or replaced, and nobody reaches it any more, but for those who are connected: %v", flagOf(l.Name), err))
		}
	}
	return problems
}

// Collectors returns the metrics of the listeners.
func (ls *Listeners) Collectors() []prometheus.Collector { return []prometheus.Collector{ls} }

var listenerReachable = prometheus.NewDesc("latchkey_listener_reachable",
	"1 while who connects to the listener reaches this process, 0 while its socket is removed or replaced and can't be made again.", []string{"listener"}, nil)

// Describe implements prometheus.Collector.
func (ls *Listeners) Describe(to chan<- *prometheus.Desc) { to <- listenerReachable }

// Collect implements prometheus.Collector.
func (ls *Listeners) Collect(to chan<- prometheus.Metric) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, l := range ls.list {
		reachable := 1.0
		if ls.lost[l.Name] != nil {
			reachable = 0
		}
		to <- prometheus.MustNewConstMetric(listenerReachable, prometheus.GaugeValue, reachable, l.Name)
	}
}
