package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/latchkey/latchkey/authz"
	"github.com/latchkey/latchkey/internal/disk"
	"github.com/latchkey/latchkey/internal/link"
	"github.com/latchkey/latchkey/internal/reload"
	"github.com/latchkey/latchkey/internal/serve"
	"github.com/latchkey/latchkey/observe"
	"github.com/latchkey/latchkey/policy"
	"github.com/latchkey/latchkey/replica"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/usage"
)

// process is a running sidecar.
type process struct {
	config  *config
	log     *slog.Logger
	hangup  *reload.Hangup
	started time.Time

	db       *storage.DB
	link     *link.Source // nil: nobody over TCP
	follower *replica.Follower
	checks   *authz.Server
	usage    *usage.Keeper
	grpc     *serve.GRPC // that Envoy calls
	health   *serve.Health
	store    *serve.StoreHealth
	memory   *serve.Memory
	observe  observe.Observers

	// What the configuration may change while the process runs.
	file    *reload.File // nil: it was started without one
	current *reload.Current
	hubs    *link.AllowList

	listeners serve.Listeners
}

// runSidecar serves until the context ends. The log goes by the current settings.
func runSidecar(ctx context.Context, c *config, log *slog.Logger, current *reload.Current) (err error) {
	// First of all: nobody who asks for the file to be read again means to end the process, whatever it is at.
	hangup := reload.NewHangup()
	defer hangup.Stop()

	p := &process{
		config: c, log: log, current: current, hangup: hangup, started: time.Now(), listeners: serve.Listeners{Log: log}, memory: serve.NewMemory(log), health: serve.NewHealth(authz.ServiceName),
		hubs: link.NewAllowList(c.ids),
	}
	p.listeners.Reachable = p.health.SetReachable
	if c.from.File != "" {
		p.file = reload.NewFile(c.from.File, c.from.Text, log, p.reconfigure)
	}
	if c.tls != nil {
		if p.link, err = link.New(c.tls, log); err != nil {
			return fmt.Errorf("opening the links to hubs: %w", err)
		}
	}
	documents := &policy.Documents[*policy.Policy]{Compile: policy.Compile}
	if p.db, err = storage.Open(c.data, storage.Options{Replica: true, Compile: func(all map[string][]byte) (any, error) {
		policies, err := documents.All(all)
		if err != nil {
			return nil, err
		}
		return policy.NewPolicies(policies...)
	}}); err != nil {
		return fmt.Errorf("opening the replica in %s: %w", c.data, err)
	}
	defer func() { err = errors.Join(err, p.db.Close()) }()
	if why := p.db.Recovered(); why != nil {
		log.Warn("the replica isn't what it was left as: requests are answered once a hub has brought it up to date", "why", why)
	}
	closeHubs, err := p.follow()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeHubs()) }()
	if err := p.openLink(ctx); err != nil {
		return err
	}
	p.usage = usage.New(usage.Options{Folder: c.data, Flush: c.flush, Send: p.follower.ReportUsage, Refused: replica.RefusedUsage, Log: log})
	if p.observe, err = observe.Open(ctx, c.observe, observe.Process{Service: "latchkey-sidecar", Version: serve.ThisBuild(version).Version, Instance: c.name}, log); err != nil {
		return err
	}
	p.checks = authz.NewServer(authz.Options{Source: p.source, Log: log, Observers: append(p.observe.Observers(), p.usage)})
	p.grpc = serve.NewGRPC(append(p.observe.ServerOptions(), authz.ServerOption())...)
	defer p.grpc.Stop() // its workers wait from the beginning
	p.grpc.TellLimits(log)
	p.checks.Register(p.grpc)
	p.health.Register(p.grpc)
	p.store = serve.NewStoreHealth(p.db, p.health.SetStorage, log)
	group, err := p.group()
	if err != nil {
		return err
	}
	// Before anybody asks: an Envoy that hears NOT_SERVING asks again after a second at best.
	ready, _, _ := p.answerable()
	p.health.SetReady(ready)
	err = group.Run(ctx)
	log.Info("stopped")
	return err
}

// openLink reads the certificate of the links to hubs. One that can't be used keeps a replica from starting that has nothing to
// answer by, and no other: its requests would be refused for what its hub alone sees.
func (p *process) openLink(ctx context.Context) error {
	if p.link == nil {
		return nil
	}
	ready, _, _ := p.answerable()
	limit, cancel := ctx, context.CancelFunc(func() {})
	if ready { // requests wait meanwhile
		limit, cancel = context.WithTimeout(ctx, disk.Patience)
	}
	defer cancel()
	switch err := p.link.Read(limit); {
	case err != nil && ready && ctx.Err() == nil:
		p.link.Without(err)
	case err != nil:
		return fmt.Errorf("opening the links to hubs: %w", err)
	}
	return nil
}

// A connection on which nothing arrives is given up, by TCP itself where it can, and another is made. TCP alone would go on
// with it after a cut, and try again only after about as long as the cut had lasted.
const (
	pingAfter = 10 * time.Second // no less is possible
	pingTime  = 4 * time.Second
)

// follow makes the follower, with a connection to each hub that connects when it is used.
func (p *process) follow() (closeAll func() error, err error) {
	var connections []*grpc.ClientConn
	closeAll = func() (err error) {
		for _, c := range connections {
			err = errors.Join(err, c.Close())
		}
		return err
	}
	var hubs []replica.Target
	for _, hub := range p.config.hubs {
		by := insecure.NewCredentials()
		if !hub.IsUnix() {
			by = p.link.ClientCredentials(hub.Host(), p.hubs)
		}
		// Once more, and once more after that, is the follower's to say.
		c, err := grpc.NewClient(hub.Target(), grpc.WithTransportCredentials(by), grpc.WithDisableServiceConfig(), grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.5, Jitter: 0.2, MaxDelay: time.Second}, MinConnectTimeout: 3 * time.Second,
		}), grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingAfter, Timeout: pingTime}))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("the hub %s: %w", hub, err), closeAll())
		}
		connections = append(connections, c)
		hubs = append(hubs, replica.Target{Name: hub.String(), Connection: c})
	}
	p.follower, err = replica.NewFollower(replica.FollowerOptions{
		DB: p.db, Folder: p.config.data, Hubs: hubs, Limit: p.config.staleness, Strictest: p.strictest,
		Name: p.config.name, Version: serve.ThisBuild(version).Version, AcceptOlder: p.config.acceptRollback, Log: p.log,
	})
	if err != nil {
		return nil, errors.Join(err, closeAll())
	}
	return closeAll, nil
}

// group opens every listener, or none, and returns all that runs.
func (p *process) group() (*serve.Group, error) {
	check, err := p.listeners.Open(serve.CheckListener, p.config.listen, 0o660)
	if err != nil {
		return nil, err
	}
	debug, err := p.listeners.Open("http", p.config.http, 0o660)
	if err != nil {
		return nil, err
	}
	var g serve.Group
	g.Add(serve.Announce, "health", p.health.Leave(p.log, p.current.Drain))
	g.Add(serve.Listen, "check", func(ctx context.Context) error { return p.grpc.Run(ctx, check) })
	answers := serve.NewDebug(p.registry(), p.health, p.log)
	answers.Status(p.status)
	g.Add(serve.Listen, "http", func(ctx context.Context) error { return answers.Run(ctx, debug) })
	g.Add(serve.Work, "sockets", p.listeners.Watch)
	g.Add(serve.Work, "memory", p.memory.Run)
	p.observe.AddTo(&g)
	g.Add(serve.Work, "follower", p.follower.Run)
	g.Add(serve.Work, "usage", p.usage.Run)
	g.Add(serve.Work, "readiness", p.watchReadiness)
	g.Add(serve.Work, "store", p.store.Watch)
	g.Add(serve.Work, "SIGHUP", p.hangup.Follow(p.log, p.file.Again()))
	if p.file != nil {
		g.Add(serve.Work, "configuration file", p.file.Run)
	}
	if p.link != nil {
		g.Add(serve.Work, "certificate", p.link.Run)
	}
	return &g, nil
}

// source is the newest revision, as checks see it, and how current it is.
func (p *process) source() authz.View { return seen(p.follower.Proof, p.db.Now) }

// seen looks at the proof before it looks at the store: a proof holds of the store as it was then and as it is later. The
// other way round a check that is held up in between would answer by a revision of before the cut with the proof of after it.
func seen(proof func() *replica.Proof, now func() *storage.View) authz.View {
	lease := (*authz.Lease)(proof())
	v := now()
	all := authz.View{Keys: v, Directory: v, Revision: v.Position().Revision, Latest: v.Latest(), Lease: lease}
	all.Policies, _ = v.Policies().(*policy.Policies)
	return all
}

// policies are those in use; nil for none.
func (p *process) policies() *policy.Policies {
	policies, _ := p.db.Now().Policies().(*policy.Policies)
	return policies
}

// strictest is the shortest time that keys of some type are answered for without news.
func (p *process) strictest() time.Duration {
	if policies := p.policies(); policies != nil {
		return policies.ShortestStaleness()
	}
	return 0
}
