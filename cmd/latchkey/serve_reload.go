package main

import (
	"context"
	"slices"

	"github.com/latchkey/latchkey/internal/reload"
	"github.com/latchkey/latchkey/internal/serve"
)

// reconfigure puts a new content of the configuration file in use: what may change while the process runs, all of it or,
// if there is a mistake, nothing.
func (p *process) reconfigure(ctx context.Context, source []byte) (restart []string, err error) {
	from := p.config.from
	from.Text = source
	now, err := configure(from)
	if err != nil {
		return nil, err
	}
	p.current.Use(now.settings)
	p.operators.Set(now.operators)
	if cut := p.followers.Set(now.followers); cut > 0 {
		p.log.Warn("connections of replicas that may follow no more were closed", "connections", cut)
	}
	if p.files.use(now.policies) {
		p.watcher.Watch(ctx, now.policies...)
		p.files.reload(ctx)
	}
	return reload.Cold(p.config.said, now.said), nil
}

// watchFiles reads the policy files and the configuration file again when they change.
func (p *process) watchFiles(ctx context.Context, g *serve.Group) (err error) {
	policies := p.files.named()
	if len(policies) == 0 && p.file == nil {
		return nil
	}
	if p.watcher, err = serve.NewWatcher(ctx, p.log, policies...); err != nil {
		return err
	}
	g.Add(serve.Work, "policy files", func(ctx context.Context) error { return p.watcher.Run(ctx, p.files.reload) })
	if p.file != nil {
		g.Add(serve.Work, "configuration file", p.file.Run)
	}
	return nil
}

// again is what SIGHUP is to read of the policy files.
func (f *policyFiles) again() reload.Again {
	return reload.Again{What: "the policy files", There: func() bool { return len(f.named()) > 0 }, Read: f.reload}
}

// named returns the files and folders that policies are read from.
func (f *policyFiles) named() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.paths
}

// use has policies read from other files and folders from now on, and reports whether they are others.
func (f *policyFiles) use(paths []string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.Equal(f.paths, paths) {
		return false
	}
	f.paths = slices.Clone(paths)
	return true
}
