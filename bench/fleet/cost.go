package main

import (
	"context"
	"fmt"
	"time"
)

// measureCost measures what followers cost a hub.
func (f *fleet) measureCost(ctx context.Context) error {
	s, err := f.store(ctx, f.options.keys)
	if err != nil {
		return err
	}
	for _, l := range f.options.links {
		for _, n := range f.options.crowds {
			if err := f.measureCrowd(ctx, s, l, n); err != nil {
				return fmt.Errorf("%d followers over %s: %w", n, l, err)
			}
		}
	}
	return nil
}

// measureCrowd measures one number of followers.
func (f *fleet) measureCrowd(ctx context.Context, s *store, l link, n int) (err error) {
	h, err := f.startHub(ctx, s, l)
	if err != nil {
		return err
	}
	defer h.End()
	f.say("cost: %d followers over %s", n, l)
	m := &revoking{hub: h, light: &crowd{}}
	writes := f.options.writes

	// Without followers: what the writes themselves cost, what it does at rest, and the memory of a hub that has worked.
	if err := m.quiet(ctx, s, warmups); err != nil {
		return err
	}
	alone, err := h.spend(ctx, func() error { return m.quiet(ctx, s, writes) })
	if err != nil {
		return err
	}
	resting, err := h.spend(ctx, func() error { return pause(ctx, f.options.idle) })
	if err != nil {
		return err
	}
	empty, err := h.use(ctx, true)
	if err != nil {
		return err
	}

	connecting, err := h.spend(ctx, func() (err error) {
		m.light, err = follow(ctx, h, n)
		return err
	})
	if err != nil {
		return err
	}
	defer m.light.end()
	c := &cost{Link: l, Followers: n, ConnectMicros: micros(connecting) / float64(n), WriteMicros: micros(alone) / float64(writes)}

	// Questions alone.
	asked := m.light.answers.Load()
	idle, err := h.spend(ctx, func() error { return pause(ctx, f.options.idle) })
	if err != nil {
		return err
	}
	answers := m.light.answers.Load() - asked
	c.QuestionMicros = (micros(idle) - micros(resting)) / float64(max(1, answers))
	c.IdleCores = idle.Seconds() / f.options.idle.Seconds()

	// Writes alone.
	m.light.asking.Store(false)
	if err := m.quiet(ctx, s, warmups); err != nil {
		return err
	}
	before, err := h.metrics(ctx, sentBytes)
	if err != nil {
		return err
	}
	began := time.Now()
	var spent time.Duration
	err = f.profiled(ctx, h, fmt.Sprintf("%s-%d", l, n), func() (err error) {
		spent, err = h.spend(ctx, func() error { return m.quiet(ctx, s, writes) })
		return err
	})
	if err != nil {
		return err
	}
	c.DeltaMicros = (micros(spent) - micros(alone)) / float64(writes*n)
	c.Spread = time.Since(began) / time.Duration(writes)
	after, err := h.metrics(ctx, sentBytes)
	if err != nil {
		return err
	}
	c.DeltaBytes = (after[0] - before[0]) / float64(writes*n)

	full, err := h.use(ctx, true)
	if err != nil {
		return err
	}
	c.Resident = float64(full.resident-empty.resident) / float64(n)
	c.Live = float64(full.live-empty.live) / float64(n)
	c.HubResident = full.resident
	select {
	case err := <-m.light.failed:
		return err
	default:
	}
	f.report.Costs = append(f.report.Costs, c)
	return nil
}

// sentBytes counts what followers were sent of entries.
const sentBytes = "latchkey_hub_entries_sent_bytes_total"

// spend returns how much CPU time the hub spends on something.
func (h *hub) spend(ctx context.Context, on func() error) (time.Duration, error) {
	before, err := h.use(ctx, false)
	if err != nil {
		return 0, err
	}
	if err := on(); err != nil {
		return 0, err
	}
	after, err := h.use(ctx, false)
	return after.cpu - before.cpu, err
}

// pause waits for a while.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
