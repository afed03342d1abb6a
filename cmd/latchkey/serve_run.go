package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"time"

	"github.com/latchkey/latchkey/admin"
	"github.com/latchkey/latchkey/authz"
	"github.com/latchkey/latchkey/internal/link"
	"github.com/latchkey/latchkey/internal/reload"
	"github.com/latchkey/latchkey/internal/serve"
	"github.com/latchkey/latchkey/observe"
	"github.com/latchkey/latchkey/proto/latchkey/admin/v1/adminv1connect"
	"github.com/latchkey/latchkey/replica"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/usage"
)

// runServe serves until the context ends. The log goes by the current settings.
func runServe(ctx context.Context, config *serveConfig, log *slog.Logger, current *reload.Current) (err error) {
	// First of all: nobody who asks for the files to be read again means to end
	// the process, whatever it is at.
	hangup := reload.NewHangup()
	defer hangup.Stop()

	memory := serve.NewMemory(log)
	p := &process{
		config: config, log: log, current: current, listeners: serve.Listeners{Log: log}, hangup: hangup, started: time.Now(), health: serve.NewHealth(authz.ServiceName), memory: memory,
		operators: link.NewAllowList(config.operators), followers: link.NewAllowList(config.followers),
	}
	p.listeners.Reachable = p.health.SetReachable
	if err := p.openLink(ctx); err != nil {
		return err
	}
	// The folder is made by the store: it knows which rights are too many.
	db, err := openStore(config, log)
	if err != nil {
		return fmt.Errorf("opening the store in %s: %w", config.data, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()

	p.db = db
	p.usage = p.newUsage()
	if err := p.openObservers(ctx); err != nil {
		return err
	}
	p.checks = authz.NewServer(authz.Options{Source: p.source, Log: log, Observers: append(p.observe.Observers(), p.usage)})
	p.grpc = serve.NewGRPC(append(p.observe.ServerOptions(), authz.ServerOption())...)
	defer p.grpc.Stop() // its workers wait from the beginning
	p.grpc.TellLimits(log)
	p.checks.Register(p.grpc)
	p.health.Register(p.grpc)
	if err := p.openHub(); err != nil {
		return err
	}
	extra := map[string]http.Handler{}
	p.admin = admin.New(admin.Options{Ledger: db, Log: log, Hosts: p.adminHosts, Operators: p.operators, Usage: p.usage.Current, Extra: extra})
	path, handler := adminv1connect.NewServerServiceHandler(statusService{p: p}, p.admin.HandlerOptions()...)
	extra[path] = handler
	p.store = serve.NewStoreHealth(db, p.health.SetStorage, log)
	p.copies = newStoreCopies(p.store, db, p.dataFolder(), log)
	if err := p.copies.clear(); err != nil {
		return fmt.Errorf("removing what a copy of the store left: %w", err)
	}
	path, handler = p.copies.handler(p.admin.HandlerOptions()...)
	extra[path] = handler
	p.files = newPolicyFiles(config.policies, p.admin, db, log)
	if config.from.File != "" {
		p.file = reload.NewFile(config.from.File, config.from.Text, log, p.reconfigure)
	}

	if err := p.files.start(ctx); err != nil {
		return err
	}
	group, err := p.group(ctx)
	if err != nil {
		return err
	}
	// Before anybody asks: an Envoy that hears NOT_SERVING asks again after a second at best.
	p.health.SetReady(len(p.missing()) == 0)
	err = group.Run(ctx)
	log.Info("stopped")
	return err
}

func storageOptions(c *admin.Compiler) storage.Options { return storage.Options{Compile: c.Compile} }

// process is a running `latchkey serve`.
type process struct {
	config  *serveConfig
	db      *storage.DB
	log     *slog.Logger
	hangup  *reload.Hangup
	started time.Time

	// What the configuration may change while the process runs.
	file      *reload.File   // nil: it was started without one
	watcher   *serve.Watcher // of policy files; nil: there are none, for good
	current   *reload.Current
	operators *link.AllowList
	followers *link.AllowList

	checks *authz.Server
	usage  *usage.Keeper
	admin  *admin.Server
	files  *policyFiles
	store  *serve.StoreHealth
	copies *storeCopies
	health *serve.Health
	grpc   *serve.GRPC // that Envoy calls
	memory *serve.Memory
	link   *link.Source // nil: nobody over TCP
	hub    *replica.Hub // nil: nobody follows it, or did so before

	streams *serve.Streams // that replicas follow; nil: it feeds none
	observe observe.Observers

	listeners serve.Listeners
}

// group opens every listener, or none, and returns all that runs.
func (p *process) group(ctx context.Context) (*serve.Group, error) {
	check, err := p.listeners.Open(serve.CheckListener, p.config.listen, 0o660)
	if err != nil {
		return nil, err
	}
	manage, err := p.listeners.Open("admin", p.config.admin, 0o600)
	if err != nil {
		return nil, err
	}
	debug, err := p.listeners.Open("http", p.config.http, 0o660)
	if err != nil {
		return nil, err
	}
	var feed *serve.Listener
	if p.streams != nil {
		if feed, err = p.listeners.Open("hub", p.config.hubListen, 0o600); err != nil {
			return nil, err
		}
	}

	var g serve.Group
	g.Add(serve.Announce, "health", p.health.Leave(p.log, p.current.Drain))
	g.Add(serve.Listen, "check", func(ctx context.Context) error { return p.grpc.Run(ctx, check) })
	g.Add(serve.Listen, "admin", func(ctx context.Context) error {
		s := serve.NewHTTP(p.admin.Handler(), p.log)
		s.ConnContext = admin.ConnContext
		if !manage.Address().IsUnix() {
			p.overTLS(s)
		}
		return serve.RunHTTP(ctx, s, manage)
	})
	answers := serve.NewDebug(p.registry(), p.health, p.log)
	g.Add(serve.Listen, "http", func(ctx context.Context) error { return answers.Run(ctx, debug) })
	if p.streams != nil {
		g.Add(serve.Listen, "hub", func(ctx context.Context) error { return p.streams.Run(ctx, feed) })
	}
	if p.hub != nil {
		g.Add(serve.Work, "replicas", p.hub.Run)
	}
	g.Add(serve.Work, "sockets", p.listeners.Watch)
	g.Add(serve.Work, "memory", p.memory.Run)
	p.observe.AddTo(&g)
	g.Add(serve.Work, "usage", p.usage.Run)
	if p.link != nil {
		g.Add(serve.Work, "certificate", p.link.Run)
	}
	g.Add(serve.Work, "readiness", p.watchReadiness)
	g.Add(serve.Work, "store", p.store.Watch)
	g.Add(serve.Work, "SIGHUP", p.hangup.Follow(p.log, p.file.Again(), p.files.again()))
	if err := p.watchFiles(ctx, &g); err != nil {
		return nil, p.listeners.Close(err)
	}
	return &g, nil
}

// watchReadiness tells the health whenever the store changes.
func (p *process) watchReadiness(ctx context.Context) error {
	ready := false
	for {
		changed := p.db.Changed()
		if now := len(p.missing()) == 0; now != ready {
			ready = now
			p.log.Info("readiness changed", "ready", ready)
		}
		p.health.SetReady(ready)
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// source is the newest revision, as checks see it.
func (p *process) source() authz.View { return view(p.db.Now()) }

// view is what the decision sees of a revision.
func view(v *storage.View) authz.View {
	seen := authz.View{Keys: v, Directory: v, Revision: v.Position().Revision, Latest: v.Latest()}
	if c, ok := v.Policies().(*admin.Compiled); ok && c != nil {
		seen.Policies = c.Policies
	}
	return seen
}

// dataFolder is the folder of the store, in full.
func (p *process) dataFolder() string {
	if full, err := filepath.Abs(p.config.data); err == nil {
		return full
	}
	return p.config.data
}
