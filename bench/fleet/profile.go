package main

import (
	"context"
	"os"
	"path/filepath"
)

// profiled does something. If profiles are asked for, the hub's CPU is profiled meanwhile, and its heap and goroutines
// after it.
func (f *fleet) profiled(ctx context.Context, h *hub, name string, do func() error) error {
	if f.options.profileTo == "" {
		return do()
	}
	if err := os.MkdirAll(f.options.profileTo, 0o755); err != nil {
		return err
	}
	keep := func(kind, path string) error {
		profile, err := h.get(ctx, path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(f.options.profileTo, name+"-"+kind), profile, 0o600)
	}
	done := make(chan error, 1)
	go func() { done <- keep("cpu.pprof", "/debug/pprof/profile?seconds=5") }()
	if err := do(); err != nil {
		return err
	}
	if err := <-done; err != nil {
		return err
	}
	for kind, path := range map[string]string{
		"heap.pprof": "/debug/pprof/heap?gc=1", "goroutines.txt": "/debug/pprof/goroutine?debug=1", "metrics.txt": "/metrics",
	} {
		if err := keep(kind, path); err != nil {
			return err
		}
	}
	return nil
}
