package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/latchkey/latchkey/internal/disk"
	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/tally"
)

const (
	// rosterName is the file in the data folder that has the replicas which may hold leases.
	rosterName = "latchkey.db.replicas"
	// maxMembers is how many replicas a hub may have: each costs it some kilobytes.
	maxMembers = 50_000
	// helloTime is how long a peer may take to say who it is.
	helloTime = 10 * time.Second
	// tidyEvery is how often the roster is written down and what nobody needs is let go of.
	tidyEvery = time.Minute
	// goneFor is how long a replica is shown after its lease has ended.
	goneFor = time.Hour
)

// HubOptions are what a Hub is made of. All but Usage and Log are required.
type HubOptions struct {
	// DB is the store that replicas are fed from.
	DB *storage.DB
	// Folder is its data folder.
	Folder string
	// Identify returns the identity of the peer of a call, and whether it may follow.
	Identify func(context.Context) (identity string, ok bool)
	// Usage takes what a replica counted, once, and returns when it is on the disk. Nil: nothing is taken.
	Usage func(context.Context, tally.Report) error
	// Log is where it tells what happens. Nil: slog.Default.
	Log *slog.Logger
}

// Hub feeds replicas from a store. Who is slow, or dead, or means harm costs the hub its own stream: nothing
// waits for it, no queue grows, and no transaction of the store is held for it. It is safe for concurrent use.
type Hub struct {
	replicav1.UnimplementedReplicaServiceServer
	db       *storage.DB
	identify func(context.Context) (string, bool)
	usage    func(context.Context, tally.Report) error
	log      *slog.Logger
	path     string // of the roster
	feed     feed
	spools   *spools
	senders  *senders
	saver    saver
	metrics  *hubMetrics
	start    time.Time
	forgot   error // why replicas of before the start may be missing; nil if none can be

	mu      sync.Mutex
	members map[memberKey]*member
	waiters map[chan struct{}]struct{} // of those who await a position
	writes  []seenWrite                // the newest positions and when they were seen, oldest first
}

// NewHub returns a hub, which knows the replicas of before by its roster.
func NewHub(o HubOptions) (*Hub, error) {
	h := &Hub{
		db: o.DB, identify: o.Identify, usage: o.Usage, log: o.Log, path: filepath.Join(o.Folder, rosterName),
		feed: feed{db: o.DB}, spools: newSpools(o.DB, o.Folder), senders: newSenders(), start: time.Now(),
		members: map[memberKey]*member{}, waiters: map[chan struct{}]struct{}{},
	}
	if h.log == nil {
		h.log = slog.Default()
	}
	h.saver.write = h.writeRoster
	h.metrics = newHubMetrics(h)
	return h, h.readRoster()
}

// readRoster reads who may hold a lease since before the start.
func (h *Hub) readRoster() error {
	var roster replicav1.Roster
	switch err := readSealed(h.path, &roster); {
	case errors.Is(err, os.ErrNotExist):
	case errors.Is(err, errTorn):
		// Kept, so that the next start knows it too.
		if err := os.Rename(h.path, h.path+disk.DamagedSuffix); err != nil {
			return fmt.Errorf("putting the damaged roster of replicas aside: %w", err)
		}
	case err != nil:
		return fmt.Errorf("reading the roster of replicas: %w", err)
	}
	if damaged := h.path + disk.DamagedSuffix; exists(damaged) {
		h.forgot = fmt.Errorf("the roster of replicas was damaged: one that hasn't connected since isn't counted, and may answer without knowing a write, "+
			"so that no receipt is complete: once every replica is connected, or has been away for longer than its max_staleness, remove %s and start the hub again", damaged)
		h.log.Error("the roster of replicas was damaged: those of before that haven't connected since aren't counted, and receipts say so; "+
			"once every replica is connected, or has been away for longer than its max_staleness, remove the file and start again", "file", damaged)
	}
	for _, m := range roster.GetMembers() {
		limit, err := readLimit(m.GetMaxStaleness())
		if err != nil {
			return fmt.Errorf("%s: replica %.64q: %w", h.path, m.GetId(), err)
		}
		one := &member{
			memberKey: memberKey{m.GetIdentity(), m.GetId()}, name: m.GetName(), version: m.GetVersion(), seen: m.GetSeen().AsTime(),
			// It was answered until the moment before the start, for all that is known.
			Peer:    Peer{Limit: limit, Leased: true, Asked: 0},
			written: true, limit: limit,
		}
		h.members[one.memberKey] = one
	}
	return nil
}

// writeRoster writes down who may hold a lease.
func (h *Hub) writeRoster() error {
	roster, limits := h.rosterNow()
	if err := writeSealed(h.path, roster, true); err != nil {
		return err
	}
	h.wrote(limits)
	return nil
}

// rosterNow returns what is to be written down, with the limit of each. Until that is done, nobody knows which of two limits
// the disk has: who comes meanwhile with the one that it had waits for another write.
func (h *Hub) rosterNow() (*replicav1.Roster, map[*member]time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	roster, limits := &replicav1.Roster{}, map[*member]time.Duration{}
	for key, m := range h.members {
		limits[m] = m.Limit
		m.written = m.isWritten()
		roster.Members = append(roster.Members, &replicav1.Member{
			Id: key.id, Identity: key.identity, Name: m.name, Version: m.version,
			MaxStaleness: wireLimit(m.Limit), Applied: wirePosition(m.Applied), Seen: timestamppb.New(m.seen),
		})
	}
	return roster, limits
}

// wrote notes that these limits are on the disk.
func (h *Hub) wrote(limits map[*member]time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for m, limit := range limits {
		m.written, m.limit = true, limit
	}
}

// now is the hub's clock.
func (h *Hub) now() Instant { return time.Since(h.start) }

// wall is an instant of the hub's clock by the wall clock. Both clocks are read at once: between two looks the process may
// be stopped for as long as it takes, and the end of a lease would be told too early.
func (h *Hub) wall(i Instant) time.Time {
	now := time.Now()
	return now.Add(i - now.Sub(h.start))
}

// Register adds the service to a server, which must have been made with ServerOptions.
func (h *Hub) Register(s grpc.ServiceRegistrar) { replicav1.RegisterReplicaServiceServer(s, h) }

// ServerOptions are what a server of a Hub is made with.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ForceServerCodecV2(newCodec())}
}

// Problems returns what keeps its receipts from being complete, whoever acknowledges, for people.
func (h *Hub) Problems() []string {
	if h.forgot == nil {
		return nil
	}
	return []string{h.forgot.Error()}
}

// Collectors returns the hub's metrics.
func (h *Hub) Collectors() []prometheus.Collector { return h.metrics.collectors() }

// Run sends to replicas, and looks after the roster and snapshots, until the context ends.
func (h *Hub) Run(ctx context.Context) error {
	defer h.spools.close()
	var sending sync.WaitGroup
	defer sending.Wait()
	sending.Go(func() { h.senders.run(ctx) })
	sending.Go(func() { h.spread(ctx) })
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		h.spools.tidy(time.Now())
		h.tidy()
		if err := h.saver.save(); err != nil {
			h.log.Warn("the roster of replicas can't be written", "error", err)
		}
	}
}

// spread has all replicas looked at after each write.
func (h *Hub) spread(ctx context.Context) {
	var all []*subscription
	for {
		changed := h.db.Changed()
		h.mu.Lock()
		h.saw(h.db.Position())
		for _, m := range h.members {
			if m.session != nil {
				all = append(all, m.session)
			}
		}
		h.mu.Unlock()
		h.senders.wake(all...)
		clear(all)
		all = all[:0]
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// Locate says where the hub is.
func (h *Hub) Locate(ctx context.Context, _ *replicav1.LocateRequest) (*replicav1.LocateResponse, error) {
	if _, ok := h.identify(ctx); !ok {
		return nil, errStranger
	}
	return &replicav1.LocateResponse{Position: wirePosition(h.db.Position()), Origin: h.db.Origin()}, nil
}
