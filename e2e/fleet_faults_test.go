package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/latchkey/latchkey/internal/netns"
)

// fault is something that goes wrong, and is well again when it returns. Each has a weight: how often it comes.
type fault struct {
	name   string
	weight int
	f      func(*fleet, *rand.Rand) error
}

// processFaults happen one at a time, to processes and their folders.
var processFaults = []fault{
	{"hub killed", 5, func(f *fleet, r *rand.Rand) error { return f.killed(f.hub, r, nil) }},
	{"hub frozen", 4, func(f *fleet, r *rand.Rand) error { return f.frozen(f.hub, r) }},
	{"sidecar killed", 5, func(f *fleet, r *rand.Rand) error { return f.killed(f.one(r), r, nil) }},
	{"sidecar frozen", 5, func(f *fleet, r *rand.Rand) error { return f.frozen(f.one(r), r) }},
	{"sidecar's folder lost", 2, func(f *fleet, r *rand.Rand) error {
		s := f.one(r)
		return f.killed(s, r, func() error { return os.RemoveAll(s.data) })
	}},
	{"backup", 3, (*fleet).backup},
	{"restore", 1, (*fleet).restore},
}

// networkFaults happen one at a time, beside the others.
var networkFaults = []fault{
	{"partition", 4, weather(func(*rand.Rand) netns.Weather { return netns.Weather{Loss: 1} }, true, true)},
	{"partition, of what the hub says", 2, weather(func(*rand.Rand) netns.Weather { return netns.Weather{Loss: 1} }, true, false)},
	{"partition, of what the hub hears", 2, weather(func(*rand.Rand) netns.Weather { return netns.Weather{Loss: 1} }, false, true)},
	{"delay", 3, weather(func(r *rand.Rand) netns.Weather {
		delay := time.Duration(5+r.IntN(400)) * time.Millisecond
		return netns.Weather{Delay: delay, Jitter: delay / 2}
	}, true, true)},
	{"loss", 3, weather(func(r *rand.Rand) netns.Weather { return netns.Weather{Loss: 0.05 + 0.5*r.Float64()} }, true, true)},
}

// keepFailing lets faults happen until the time is over: each once, so that no run is without it, and then by weight. The
// last of the list is the last of the first round: a backup is to be some time old when it is restored.
func (f *fleet) keepFailing(until <-chan struct{}, faults []fault, r *rand.Rand) {
	var deck []fault
	for _, one := range faults {
		for range one.weight {
			deck = append(deck, one)
		}
	}
	first := append(r.Perm(len(faults)-1), len(faults)-1)
	for {
		select {
		case <-until:
			return
		case <-time.After(time.Duration(200+r.IntN(1500)) * time.Millisecond):
		}
		one := deck[r.IntN(len(deck))]
		if len(first) > 0 {
			one, first = faults[first[0]], first[1:]
		}
		if err := one.f(f, r); err != nil {
			f.fail(fmt.Errorf("%s: %w", one.name, err))
			return
		}
		f.count("fault: "+one.name, 1)
	}
}

func (f *fleet) one(r *rand.Rand) *node { return f.sidecars[r.IntN(len(f.sidecars))] }

// lasting is how long a fault lasts: from nothing to more than a lease.
func lasting(r *rand.Rand) time.Duration {
	return time.Duration(float64(2*fleetLease) * r.Float64() * r.Float64())
}

// killed kills a process, and starts it again. It may be killed during its start too.
func (f *fleet) killed(n *node, r *rand.Rand, meanwhile func() error) error {
	for range 1 + r.IntN(2) {
		if err := n.kill(); err != nil {
			return err
		}
		if meanwhile != nil {
			if err := meanwhile(); err != nil {
				return err
			}
		}
		wait(lasting(r) / 2)
		if err := n.start(); err != nil {
			return err
		}
		wait(time.Duration(r.IntN(100)) * time.Millisecond)
	}
	return nil
}

// frozen stops a process where it is, for a while.
func (f *fleet) frozen(n *node, r *rand.Rand) error {
	if err := n.freeze(); err != nil {
		return err
	}
	wait(lasting(r))
	return n.thaw()
}

// weather returns a fault of the wires between the hub and one replica, or all.
func weather(w func(*rand.Rand) netns.Weather, down, up bool) func(*fleet, *rand.Rand) error {
	return func(f *fleet, r *rand.Rand) error {
		some := []*node{f.one(r)}
		if r.IntN(5) == 0 {
			some = f.sidecars
		}
		bad, lasts := w(r), lasting(r)
		if r.IntN(8) == 0 {
			lasts += 3 * fleetLease
		}
		for _, s := range some {
			if down {
				f.network.Set(f.hub.host, s.host, bad)
			}
			if up {
				f.network.Set(s.host, f.hub.host, bad)
			}
		}
		wait(lasts)
		for _, s := range some {
			f.network.Between(f.hub.host, s.host, netns.Weather{})
		}
		return nil
	}
}

// heal ends all faults: the weather is fair, and everything runs.
func (f *fleet) heal() (err error) {
	for _, s := range f.sidecars {
		f.network.Between(f.hub.host, s.host, netns.Weather{})
	}
	for _, n := range f.nodes() {
		if n.cmd == nil {
			err = errors.Join(err, n.start())
		} else {
			err = errors.Join(err, n.thaw())
		}
	}
	return err
}
