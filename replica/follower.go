package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"google.golang.org/grpc"

	"github.com/latchkey/latchkey/storage"
)

// Target is a hub that may be followed.
type Target struct {
	// Name is its address, for people.
	Name string
	// Connection is how it is reached. It connects when it is used, and again when it has to.
	Connection grpc.ClientConnInterface
}

// FollowerOptions are what a Follower is made of. All but Strictest and Log are required.
type FollowerOptions struct {
	// DB is the store, opened with storage.Options.Replica.
	DB *storage.DB
	// Folder is its data folder.
	Folder string
	// Hubs are followed one at a time.
	Hubs []Target
	// Limit is how long the store may be answered from without news of a hub; zero is without limit.
	Limit time.Duration
	// Strictest returns the shortest time that anything may be answered for without news, where that is
	// shorter than Limit; zero for none. It bounds how often the hub is asked. It may be nil.
	Strictest func() time.Duration
	// Name and Version are what the hub shows.
	Name, Version string
	// AcceptOlder lets one older world of a hub take the store's place.
	AcceptOlder bool
	// Log is where it tells what happens. Nil: slog.Default.
	Log *slog.Logger
}

// Proof says how current the store is, for those who answer from it. It never changes.
type Proof struct {
	// Contact is when a hub was last asked whether the store is up to date, and it was; zero for never, or
	// where the store may not be answered from whatever Limit is.
	Contact time.Time
	// Limit is how long the store may be answered from since; zero is without limit.
	Limit time.Duration
	// Hub is the hub's clock when it was last heard, and Heard when that was; zero for never.
	Hub, Heard time.Time
}

// Status is how a Follower is.
type Status struct {
	Hub     string // that feeds it; empty for none
	Problem string // why none does; empty while one does
	Proven  bool
	Age     time.Duration // since the last proof
	Fresh   bool          // whether the store may be answered from
}

// Follower keeps a store like that of a hub. It is safe for concurrent use; Run may run once.
type Follower struct {
	o       FollowerOptions
	log     *slog.Logger
	metrics *followerMetrics
	memory  *memory
	proof   atomic.Pointer[Proof]
	changed atomic.Pointer[chan struct{}] // closed at the next proof

	// Of Run's goroutine.
	state    State
	refused  map[string]time.Time // when hubs were refused, by name
	refusing int                  // how often in a row the disk was seen to refuse
	stuck    storage.Position     // where the hub was when its policies couldn't be used; zero: they could
	told     map[string]bool      // why no hub feeds it, as far as the log has it since one did

	mu      sync.Mutex // guards what follows, which others look at
	seen    State
	hub     string
	fed     Target // the hub that feeds it, or did last
	problem string
	hubTime time.Time
	heard   time.Time
}

// NewFollower returns a follower, with the lease that the process before it had.
func NewFollower(o FollowerOptions) (*Follower, error) {
	f := &Follower{o: o, log: o.Log, refused: map[string]time.Time{}, told: map[string]bool{}}
	f.changed.Store(new(make(chan struct{})))
	if f.log == nil {
		f.log = slog.Default()
	}
	f.metrics = newFollowerMetrics(f)
	now := sinceBoot()
	m, lease, err := recall(o.Folder, o.DB, now, time.Now())
	if err != nil {
		return nil, err
	}
	f.memory = m
	was := lease
	lease.Shorten(o.Limit)
	f.state = State{At: o.DB.Position(), Floor: o.DB.Floor(), Lease: lease, AcceptOlder: o.AcceptOlder, Whole: o.AcceptOlder}
	if !m.hub.IsZero() {
		// How long ago it was isn't known: the hub's clock has gone on since.
		f.hubTime, f.heard = m.hub, time.Now()
	}
	if err := f.remember(true); err != nil {
		// A disk that is full doesn't keep it from answering by a lease that stands in the file as it is. One that was
		// made shorter must be there: the hub counts on it, and the next process would answer by the longer one.
		if !m.there || lease != was || !lease.Holds(now) {
			return nil, err
		}
		f.log.Warn("the lease can't be written down, and stays as it was", "error", err)
	}
	f.publish()
	return f, nil
}

// Proof returns how current the store is. It takes no lock.
func (f *Follower) Proof() *Proof { return f.proof.Load() }

// Changed returns a channel that is closed when Proof or Status may say something else. Ask for it first and look
// then, so that nothing falls in between.
func (f *Follower) Changed() <-chan struct{} { return *f.changed.Load() }

// Status returns how the follower is.
func (f *Follower) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := sinceBoot()
	return Status{Hub: f.hub, Problem: f.problem, Proven: f.seen.Lease.Proven, Age: max(now-f.seen.Lease.Asked, 0), Fresh: f.seen.Fresh(now)}
}

// publish shows the state to others.
func (f *Follower) publish() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = f.state
	f.show()
}

// show makes the proof of what others are shown. The mutex must be held.
func (f *Follower) show() {
	s := &f.seen
	p := &Proof{Hub: f.hubTime, Heard: f.heard, Limit: s.Lease.Limit}
	if !s.Lease.Proven || s.At.Before(s.Floor) {
		p.Limit = time.Nanosecond // there is none without contact
	} else {
		// Where the machine was suspended this moves the contact back: Go's clock stood still.
		p.Contact = time.Now().Add(s.Lease.Asked - sinceBoot())
	}
	f.proof.Store(p)
	close(*f.changed.Swap(new(make(chan struct{}))))
}

// remember writes the lease down.
func (f *Follower) remember(always bool) error {
	f.mu.Lock()
	f.memory.hub = f.hubTime
	f.mu.Unlock()
	return f.memory.remember(f.state.Lease, f.state.At, sinceBoot(), time.Now(), always)
}

// noteLease writes the lease down, and tells where that can't be done.
func (f *Follower) noteLease(always bool) {
	if err := f.remember(always); err != nil {
		f.log.Warn("the lease can't be written down: after a restart a hub is needed before requests are answered", "error", err)
	}
}

// Pauses between sessions.
const (
	firstPause = 100 * time.Millisecond
	mostPause  = 3 * time.Second // while no hub answers
	// What fails after the Welcome would fail for a whole fleet at the same time, as a policy that it doesn't know.
	mostTroubled = time.Minute
	// troubleCheck is how often it is looked during a pause whether the disk takes writes, and troubledFor how often in a
	// row it refused before. Who looks after the store does so every 5 seconds, and every second while it is in trouble.
	troubleCheck = time.Second
	troubledFor  = 8
	// goodSession is how long a session lasts at least after which all is well.
	goodSession = 10 * time.Second
	// suspendCheck is how often it is looked whether the machine was suspended.
	suspendCheck = 250 * time.Millisecond
)

// Run follows until the context ends. It goes on without hubs for as long as it takes.
func (f *Follower) Run(ctx context.Context) error {
	defer f.noteLease(true)
	watched := make(chan struct{})
	watch, stop := context.WithCancel(ctx)
	go func() {
		defer close(watched)
		f.watchSuspends(watch)
	}()
	defer func() { stop(); <-watched }()

	alone, troubled := pauses(mostPause), pauses(mostTroubled)
	for ctx.Err() == nil {
		began := time.Now()
		welcomed, err := f.follow(ctx)
		if ctx.Err() != nil {
			return nil
		}
		f.ended(welcomed, err)
		if time.Since(began) > goodSession {
			alone.Reset()
			troubled.Reset()
		}
		next := alone
		if welcomed {
			next = troubled
			alone.Reset()
		}
		f.rest(ctx, next.NextBackOff())
	}
	return nil
}

// rest pauses between sessions. A disk that refused for a while and takes writes again ends it: what failed is over, and
// the lease runs. One that refuses no more than what a session brings is called good sooner than that.
func (f *Follower) rest(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	tick := time.NewTicker(troubleCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if f.o.DB.Trouble() != nil {
			f.refusing++
			continue
		}
		refused := f.refusing
		f.refusing = 0
		if refused >= troubledFor {
			return
		}
	}
}

func pauses(most time.Duration) *backoff.ExponentialBackOff {
	p := &backoff.ExponentialBackOff{InitialInterval: firstPause, RandomizationFactor: 0.5, Multiplier: 1.7, MaxInterval: most}
	p.Reset()
	return p
}

// follow has one session with the best hub.
func (f *Follower) follow(ctx context.Context) (welcomed bool, err error) {
	hub, err := f.choose(ctx)
	if err != nil {
		return false, err
	}
	c, err := f.connect(ctx, hub)
	if err != nil {
		return false, fmt.Errorf("%s: %w", hub.Name, err)
	}
	defer c.close()
	if err := c.run(); err != nil {
		if refused(err) {
			f.refused[hub.Name] = time.Now()
		}
		return c.welcomed, fmt.Errorf("%s: %w", hub.Name, err)
	}
	return c.welcomed, nil
}

// reasons are why a session ends, for the metric.
var reasons = []struct {
	name string
	is   []error
}{
	{"older", []error{ErrOlder, ErrRevives, errBehind}},
	{"diverged", []error{ErrOther, ErrForeign, errOther, ErrGap, storage.ErrDiverged, storage.ErrGap}},
	{"silent", []error{ErrSilent}},
	{"disk", []error{storage.ErrDisk, storage.ErrFailed, storage.ErrMoved}},
	{"moved", []error{errAhead}},
	{lost, nil},
}

// lost is why a session ends that no other reason fits.
const lost = "lost"

func reasonOf(err error) string {
	for _, r := range reasons {
		if slices.ContainsFunc(r.is, func(one error) bool { return errors.Is(err, one) }) {
			return r.name
		}
	}
	return lost
}

// ownPort is the port of this end of a connection in an error: another at each attempt.
var ownPort = regexp.MustCompile(`:\d+->`)

// mostReasons is how many reasons are remembered as told. A hub could make up others without end.
const mostReasons = 64

// tells reports whether the log is to have why no hub feeds the replica: once for each reason, since one did.
func (f *Follower) tells(connected bool, text string) bool {
	if connected || len(f.told) == mostReasons {
		clear(f.told)
	}
	told := f.told[text]
	f.told[text] = true
	return !told
}

// ended tells why a session is over, or why none began, once for each reason.
func (f *Follower) ended(welcomed bool, err error) {
	f.state.End()
	// An attempt to reach a hub that nothing came of isn't a session that is lost.
	if why := reasonOf(err); why != lost || welcomed {
		f.metrics.sessions.WithLabelValues(why).Inc()
	}
	text := "the session ended"
	if err != nil {
		text = ownPort.ReplaceAllString(err.Error(), "->")
	}
	f.mu.Lock()
	connected := f.hub != ""
	f.hub, f.problem = "", text
	f.mu.Unlock()
	f.publish()
	tells := f.tells(connected, text)
	switch {
	case errors.Is(err, errAhead):
		f.log.Info("going over to another hub", "why", text)
	case refused(err):
		if tells {
			f.log.Error("a hub is refused: what this replica has stays, and is answered from until its lease ends. "+
				"Restore the newest backup at the hub (latchkey db restore), which begins a new epoch and tells what it brings back; "+
				"to take the older world as it is, start this replica once with --accept-rollback", "error", text)
		}
	case tells:
		f.log.Warn("no hub feeds this replica: it goes on with what it has until its lease ends", "error", text)
	}
}

// watchSuspends shows the state anew where the machine was suspended.
func (f *Follower) watchSuspends(ctx context.Context) {
	tick := time.NewTicker(suspendCheck)
	defer tick.Stop()
	// In this order, and below in the other, lest a process that is stopped between two looks take that for a suspension.
	awake := time.Since(processStart)
	apart := sinceBoot() - awake
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if now := sinceBoot() - time.Since(processStart); now-apart > 50*time.Millisecond {
			f.log.Warn("the machine was suspended: leases ran on meanwhile", "for", (now - apart).Round(time.Millisecond).String())
			apart = now
			f.mu.Lock()
			f.show()
			f.mu.Unlock()
		}
	}
}
