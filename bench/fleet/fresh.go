package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/latchkey/latchkey/bench/proc"
)

// measureFresh measures how a sidecar comes to answer, for each size of a store.
func (f *fleet) measureFresh(ctx context.Context) error {
	for _, keys := range f.options.stores {
		s, err := f.store(ctx, keys)
		if err != nil {
			return err
		}
		for range f.options.rounds {
			one, err := f.measureStart(ctx, s)
			if err != nil {
				return fmt.Errorf("a sidecar with %d keys: %w", keys, err)
			}
			f.report.Fresh = append(f.report.Fresh, one)
		}
	}
	return nil
}

// measureStart measures a sidecar that has nothing, and the same once it has its file and no hub.
func (f *fleet) measureStart(ctx context.Context, s *store) (_ *fresh, err error) {
	h, err := f.startHub(ctx, s, f.options.links[0])
	if err != nil {
		return nil, err
	}
	defer h.End()
	f.say("fresh: a sidecar with %d keys", s.keys)
	one := &fresh{Keys: s.keys}
	before, err := s.bytes()
	if err != nil {
		return nil, err
	}
	if err := h.collect(ctx); err != nil {
		return nil, err
	}
	if one.HubRest, err = proc.ResidentMemory(h.PID()); err != nil {
		return nil, err
	}
	data, err := os.MkdirTemp(f.dir, "fresh")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(data) }()

	hubCPU, err := h.spend(ctx, func() error {
		return f.startUp(ctx, h, data, func(side *sidecar, p peaks) (err error) {
			one.Serving, one.SidecarPeak, one.HubPeak = p.took, p.sidecar, p.hub
			if one.SidecarCPU, err = proc.CPUTime(side.PID()); err != nil {
				return err
			}
			one.Snapshot, err = side.fetched()
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	one.HubCPU = hubCPU
	after, err := s.bytes()
	if err != nil {
		return nil, err
	}
	one.HubGrowth = after - before
	if info, err := os.Stat(filepath.Join(data, "latchkey.db")); err == nil {
		one.SidecarFile = info.Size()
	}

	h.End()
	return one, f.startUp(ctx, h, data, func(_ *sidecar, p peaks) error {
		one.Restart = p.took
		return nil
	})
}

// peaks are the most that processes had of memory, and how long it took.
type peaks struct {
	took         time.Duration
	sidecar, hub int64
}

// startUp starts a sidecar, and calls done once it serves; the sidecar is ended then.
func (f *fleet) startUp(ctx context.Context, h *hub, data string, done func(*sidecar, peaks) error) error {
	began := time.Now()
	side, err := f.startSidecar(h, "fresh", data)
	if err != nil {
		return err
	}
	defer side.End()
	var p peaks
	err = side.Await(ctx, func() error {
		if n, err := proc.ResidentMemory(side.PID()); err == nil {
			p.sidecar = max(p.sidecar, n)
		}
		if n, err := proc.ResidentMemory(h.PID()); err == nil {
			p.hub = max(p.hub, n)
		}
		return side.serving(ctx)
	})
	if err != nil {
		return err
	}
	p.took = time.Since(began)
	return done(side, p)
}
