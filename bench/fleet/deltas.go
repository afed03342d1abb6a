package main

import (
	"context"
	"fmt"
	"time"
)

// sizes are how many keys a write has.
var sizes = []int{1, 100, 1000}

// deltaTurns is how many writes of each size are measured at most.
const deltaTurns = 20

// measureDeltas measures writes of several sizes, with the middle one of the crowds.
func (f *fleet) measureDeltas(ctx context.Context) error {
	s, err := f.store(ctx, f.options.keys)
	if err != nil {
		return err
	}
	l, n := f.options.links[0], f.options.crowds[len(f.options.crowds)/2]
	h, err := f.startHub(ctx, s, l)
	if err != nil {
		return err
	}
	defer h.End()
	f.say("deltas: %d followers over %s", n, l)
	turns := min(deltaTurns, f.options.writes)
	alone := map[int]time.Duration{}
	for _, size := range sizes {
		if alone[size], err = h.spend(ctx, func() error { return writeKeys(ctx, h, &crowd{}, size, turns, nil) }); err != nil {
			return err
		}
	}
	crowd, err := follow(ctx, h, n)
	if err != nil {
		return err
	}
	defer crowd.end()
	crowd.asking.Store(false)
	for _, size := range sizes {
		d := &delta{Link: l, Followers: n, Keys: size}
		before, err := h.metrics(ctx, sentBytes)
		if err != nil {
			return err
		}
		var took []time.Duration
		spent, err := h.spend(ctx, func() error { return writeKeys(ctx, h, crowd, size, turns, &took) })
		if err != nil {
			return fmt.Errorf("writes of %d keys: %w", size, err)
		}
		after, err := h.metrics(ctx, sentBytes)
		if err != nil {
			return err
		}
		d.Micros = (micros(spent) - micros(alone[size])) / float64(turns*n)
		d.WriteMicros = micros(alone[size]) / float64(turns)
		d.Bytes = (after[0] - before[0]) / float64(turns*n)
		d.Last = summarize(took)
		f.report.Deltas = append(f.report.Deltas, d)
	}
	return nil
}

// writeKeys has the hub write new keys several times, and adds how long it took from each answer until the last follower
// had them.
func writeKeys(ctx context.Context, h *hub, c *crowd, size, turns int, took *[]time.Duration) error {
	for range turns {
		reached := c.entries.Load() + uint64(len(c.followers))
		if err := h.add(ctx, size); err != nil {
			return err
		}
		began := time.Now()
		if err := c.awaitEntries(ctx, reached); err != nil {
			return err
		}
		if took != nil {
			*took = append(*took, time.Since(began))
		}
	}
	return nil
}
