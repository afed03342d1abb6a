package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage"
)

const (
	// rosterName is the file in the data folder that has the replicas which may hold leases.
	rosterName = "latchkey.db.replicas"
	// damagedSuffix is what the name of a damaged roster gets. While that file is there, receipts are uncertain.
	damagedSuffix = ".damaged"
	// maxMembers is how many replicas a hub may have: each costs it some kilobytes.
	maxMembers = 50_000
	// helloTime is how long a peer may take to say who it is.
	helloTime = 10 * time.Second
	// tidyEvery is how often the roster is written down and what nobody needs is let go of.
	tidyEvery = time.Minute
	// goneFor is how long a replica is shown after its lease has ended.
	goneFor = time.Hour
)

// HubOptions are what a Hub is made of. All but Log are required.
type HubOptions struct {
	// DB is the store that replicas are fed from.
	DB *storage.DB
	// Folder is its data folder.
	Folder string
	// Identify returns the identity of the peer of a call, and whether it may follow.
	Identify func(context.Context) (identity string, ok bool)
	// Log is where it tells what happens. Nil: slog.Default.
	Log *slog.Logger
}

// Hub feeds replicas from a store. Who is slow, or dead, or means harm costs the hub its own stream: nothing
// waits for it, no queue grows, and no transaction of the store is held for it. It is safe for concurrent use.
type Hub struct {
	replicav1.UnimplementedReplicaServiceServer
	db       *storage.DB
	identify func(context.Context) (string, bool)
	log      *slog.Logger
	path     string // of the roster
	feed     feed
	spools   *spools
	senders  *senders
	saver    saver
	metrics  *hubMetrics
	start    time.Time

	mu      sync.Mutex
	members map[memberKey]*member
	waiters map[chan struct{}]struct{} // of those who await a position
	writes  []seenWrite                // the newest positions and when they were seen, oldest first
	forgot  error                      // why replicas of before the start may be missing
}

// seenWrite is a position that the store had come to at a moment, or before.
type seenWrite struct {
	at   storage.Position
	when Instant
}

// maxWrites is how many of them are kept.
const maxWrites = 4096

// saw notes where the store is. The mutex must be held.
func (h *Hub) saw(at storage.Position) {
	if n := len(h.writes); n > 0 && !h.writes[n-1].at.Before(at) {
		return
	}
	if len(h.writes) == maxWrites {
		h.writes = append(h.writes[:0], h.writes[maxWrites/2:]...)
	}
	h.writes = append(h.writes, seenWrite{at, h.now()})
}

// written returns a moment at which a write was there, as early as is known. The mutex must be held.
func (h *Hub) written(at storage.Position) Instant {
	i, _ := slices.BinarySearchFunc(h.writes, at, func(w seenWrite, at storage.Position) int {
		if w.at.Before(at) {
			return -1
		}
		return 1
	})
	if i < len(h.writes) {
		return h.writes[i].when
	}
	return h.now()
}

// memberKey names a replica: nobody speaks for one under another identity.
type memberKey struct{ identity, id string }

// member is a replica that may hold a lease. Guarded by Hub.mu.
type member struct {
	memberKey
	Peer
	name, version string
	seen          time.Time     // by the wall clock
	proven        Instant       // when it asked the newest question of which the answer proves it, as far as is known; 0: never
	session       *subscription // nil while it isn't connected
	trouble       string        // why it doesn't go on
	written       bool          // whether the roster on the disk has it
	limit         time.Duration // that the roster on the disk has
}

// isWritten reports whether the roster on the disk has the replica as it is.
func (m *member) isWritten() bool { return m.written && m.limit == m.Limit }

// NewHub returns a hub, which knows the replicas of before by its roster.
func NewHub(o HubOptions) (*Hub, error) {
	h := &Hub{
		db: o.DB, identify: o.Identify, log: o.Log, path: filepath.Join(o.Folder, rosterName),
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
		if err := os.Rename(h.path, h.path+damagedSuffix); err != nil {
			return fmt.Errorf("putting the damaged roster of replicas aside: %w", err)
		}
	case err != nil:
		return fmt.Errorf("reading the roster of replicas: %w", err)
	}
	if damaged := h.path + damagedSuffix; exists(damaged) {
		h.forgot = fmt.Errorf("%s: %w", damaged, errTorn)
		h.log.Error("the roster of replicas was damaged: those of before that haven't connected since aren't counted, and receipts say so; "+
			"once every replica is connected, remove the file and start again", "file", damaged)
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
	roster, limits := &replicav1.Roster{}, map[*member]time.Duration{}
	h.mu.Lock()
	for key, m := range h.members {
		limits[m] = m.Limit
		roster.Members = append(roster.Members, &replicav1.Member{
			Id: key.id, Identity: key.identity, Name: m.name, Version: m.version,
			MaxStaleness: wireLimit(m.Limit), Applied: wirePosition(m.Applied), Seen: timestamppb.New(m.seen),
		})
	}
	h.mu.Unlock()
	if err := writeSealed(h.path, roster, true); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for m, limit := range limits {
		m.written, m.limit = true, limit
	}
	return nil
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

// tidy forgets replicas whose lease has ended long ago.
func (h *Hub) tidy() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, m := range h.members {
		if end, never := m.Lease(); m.session == nil && !never && h.now() > end+goneFor {
			delete(h.members, key)
		}
	}
}

// beginning is what a Hello comes to.
type beginning struct {
	limit  time.Duration    // of the replica's leases
	at     storage.Position // where it is
	course Course
	leased bool          // it holds a lease
	age    time.Duration // of the question of that lease
}

// join makes a session that of its replica, in place of an older one, and sees that the roster has the replica
// before any lease is given out.
func (h *Hub) join(s *subscription, hello *replicav1.Hello, begin beginning) error {
	key := memberKey{s.identity, hello.GetId()}
	h.mu.Lock()
	m := h.members[key]
	if m == nil {
		if len(h.members) >= maxMembers {
			h.mu.Unlock()
			return errFull
		}
		m = &member{memberKey: key}
		h.members[key] = m
	}
	if m.session != nil {
		_ = m.session.end(errReplaced)
	}
	trouble := ""
	switch begin.course {
	case Behind:
		trouble = fmt.Sprintf("it is ahead of this hub, at %s", begin.at)
	case Other:
		trouble = fmt.Sprintf("it is of this hub's epoch and of another history, at %s", begin.at)
	}
	if trouble != "" && trouble != m.trouble {
		h.log.Error("a replica is ahead of this hub, or of another history: the hub has lost what it had acknowledged, or two run on copies of one store: restore the newest backup here (latchkey db restore), which begins a new epoch",
			"replica", hello.GetName(), "identity", s.identity, "trouble", trouble, "hub", h.db.Position().String())
	}
	m.session, m.name, m.version, m.trouble, m.seen = s, hello.GetName(), hello.GetVersion(), trouble, time.Now()
	m.Hello(begin.limit, begin.at, begin.course, h.now()-begin.age, begin.leased)
	s.member = m
	written := m.isWritten()
	h.mu.Unlock()
	h.signal()
	if written {
		return nil
	}
	if err := h.saver.save(); err != nil {
		h.leave(s)
		return fmt.Errorf("writing the roster of replicas: %w", err)
	}
	return nil
}

// leave notes that a session is over.
func (h *Hub) leave(s *subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m := s.member; m != nil && m.session == s {
		m.session, m.seen = nil, time.Now()
	}
}

// Locate says where the hub is.
func (h *Hub) Locate(ctx context.Context, _ *replicav1.LocateRequest) (*replicav1.LocateResponse, error) {
	if _, ok := h.identify(ctx); !ok {
		return nil, errStranger
	}
	return &replicav1.LocateResponse{Position: wirePosition(h.db.Position()), Origin: h.db.Origin()}, nil
}
