package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"

	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage"
)

const (
	// maxMessage is the longest message of a hub: one entry may hold a whole directory.
	maxMessage = 64 << 20
	// applyBytes is about how much is applied at once when much has come.
	applyBytes = 1 << 20
	// Questions are askMost apart at most, and so far that a lease has room for many.
	askMost  = 3 * time.Second
	askLeast = 20 * time.Millisecond
	// patienceLeast is how long a hub may always take to answer.
	patienceLeast = 2 * time.Second
	// lookAround is how often it is looked whether another hub is further ahead.
	lookAround = 30 * time.Second
	// tellTime is how long a hub may take to hear why a session ends.
	tellTime = 5 * time.Second
)

// refused reports whether an error is that of a hub whose world the replica doesn't take.
func refused(err error) bool {
	return errors.Is(err, ErrOlder) || errors.Is(err, ErrOther) || errors.Is(err, ErrForeign) || errors.Is(err, ErrRevives)
}

// errAhead is returned where another hub is further ahead.
var errAhead = errors.New("another hub is further ahead")

// connection is one session with a hub.
type connection struct {
	f        *Follower
	ctx      context.Context
	cancel   context.CancelFunc
	hub      Target
	stream   grpc.BidiStreamingClient[replicav1.FollowRequest, replicav1.FollowResponse]
	welcomed bool
	origin   string           // of the hub's store
	hubAt    storage.Position // where the hub is at least
	came     chan *replicav1.FollowResponse
	lost     chan error // why nothing more comes; once
	over     bool       // that was taken
	fetch    *fetch     // of a snapshot that is coming
	moved    time.Time  // when something that leads on was last taken
	further  int        // how often another hub was seen further ahead
	others   chan []located
}

// connect opens a session and says Hello.
func (f *Follower) connect(ctx context.Context, hub Target) (*connection, error) {
	ctx, cancel := context.WithCancel(ctx)
	c := &connection{
		f: f, ctx: ctx, cancel: cancel, hub: hub, moved: time.Now(),
		came: make(chan *replicav1.FollowResponse, 32), lost: make(chan error, 1), others: make(chan []located, 1),
	}
	var err error
	c.stream, err = replicav1.NewReplicaServiceClient(hub.Connection).Follow(ctx, grpc.MaxCallRecvMsgSize(maxMessage))
	if err == nil {
		f.state.Begin(f.o.Limit)
		at, whole := f.state.Hello()
		err = c.stream.Send(&replicav1.FollowRequest{Message: &replicav1.FollowRequest_Hello{Hello: &replicav1.Hello{
			Protocol: protocol, Id: f.memory.id, Name: f.o.Name, Version: f.o.Version,
			Position: wirePosition(at), MaxStaleness: wireLimit(f.o.Limit), Snapshot: whole,
			LeaseAge: f.state.leaseAge(sinceBoot()),
		}}})
	}
	if err != nil {
		cancel()
		return nil, c.why(err)
	}
	go c.receive()
	return c, nil
}

// why returns the error of a stream that can't be sent to any more: reading tells.
func (c *connection) why(err error) error {
	if c.stream != nil && errors.Is(err, io.EOF) {
		if _, why := c.stream.Recv(); why != nil {
			return why
		}
	}
	return err
}

// receive hands on what comes, until nothing more does.
func (c *connection) receive() {
	for {
		m, err := c.stream.Recv()
		if err != nil {
			c.lost <- err
			return
		}
		select {
		case c.came <- m:
		case <-c.ctx.Done():
			c.lost <- c.ctx.Err()
			return
		}
	}
}

// close ends the session.
func (c *connection) close() {
	c.cancel()
	if c.fetch != nil {
		c.fetch.discard()
		c.fetch = nil
	}
	c.f.state.End()
}

// pace returns how often the hub is asked, and how long it may take to answer.
func (c *connection) pace() (every, patience time.Duration) {
	every = askMost
	for _, limit := range []time.Duration{c.f.o.Limit, c.f.strictest()} {
		if limit > 0 {
			every = min(every, max(limit/10, askLeast))
		}
	}
	return every, max(patienceLeast, 2*every)
}

func (f *Follower) strictest() time.Duration {
	if f.o.Strictest == nil {
		return 0
	}
	return f.o.Strictest()
}

// run takes what comes, and asks, until the session ends.
func (c *connection) run() error {
	every, _ := c.pace()
	tick := time.NewTicker(every)
	defer tick.Stop()
	look := time.NewTimer(jittered(lookAround))
	defer look.Stop()
	for {
		var err error
		select {
		case <-c.ctx.Done():
			return nil
		case m := <-c.came:
			err = c.take(m)
		case why := <-c.lost:
			// What came before it counts.
			for err == nil && len(c.came) > 0 {
				err = c.take(<-c.came)
			}
			if err == nil {
				err = why
			}
			c.over = true
		case <-tick.C:
			if now, _ := c.pace(); now != every {
				every = now
				tick.Reset(every)
			}
			err = c.tick()
		case <-look.C:
			c.lookAround()
			look.Reset(jittered(lookAround))
		case found := <-c.others:
			err = c.compare(found)
		}
		if err != nil {
			c.tell(err)
			return err
		}
	}
}

// tell tells the hub why the session ends, where that is the replica's doing.
func (c *connection) tell(err error) {
	text := ""
	switch {
	case errors.Is(err, storage.ErrDisk), errors.Is(err, storage.ErrFailed), errors.Is(err, storage.ErrMoved), errors.Is(err, storage.ErrDamaged):
		text = "its disk or store: " + troubleText(err)
	case errors.Is(err, ErrRevives):
		text = troubleText(err)
	case errors.Is(err, storage.ErrPolicies):
		text = "it doesn't understand a policy: " + troubleText(err)
	default:
		return
	}
	err = c.send(&replicav1.FollowRequest{Message: &replicav1.FollowRequest_Trouble{Trouble: &replicav1.Trouble{Text: text}}})
	if err != nil || c.over || c.stream.CloseSend() != nil {
		return
	}
	// A stream that is broken off takes with it what the hub hasn't read yet. One that is closed the hub ends once it has.
	late := time.After(tellTime)
	for {
		select {
		case <-c.came:
		case <-c.lost:
			return
		case <-late:
			return
		case <-c.ctx.Done():
			return
		}
	}
}

// troubleText is an error as a hub shows it.
func troubleText(err error) string {
	b := []byte(err.Error())
	b = b[:min(len(b), 900)]
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = ' '
		}
	}
	return string(b)
}

// tick asks whether the store is up to date, and ends a session in which nothing goes on.
func (c *connection) tick() error {
	if len(c.came) > 0 {
		return nil // the hub isn't silent: the disk was slow
	}
	s := &c.f.state
	_, patience := c.pace()
	now := sinceBoot()
	if len(c.came) == 0 && time.Since(c.moved) > patience {
		if err := s.Silent(now, patience); err != nil {
			return err
		}
	}
	if (!s.Follows() || c.fetch != nil) && time.Since(c.moved) > max(patience, 10*time.Second) {
		return fmt.Errorf("%w: nothing came for %v", ErrSilent, time.Since(c.moved).Round(time.Second))
	}
	c.f.publish()
	return c.ask(now)
}

// ask asks, unless a question waits.
func (c *connection) ask(now Instant) error {
	number, ok := c.f.state.Ask(now)
	if !ok {
		return nil
	}
	return c.send(&replicav1.FollowRequest{Message: &replicav1.FollowRequest_Ask{Ask: &replicav1.Ask{Number: number}}})
}

// send sends a message. That the session is over isn't its error: why it is, and what came before, receive hands on.
func (c *connection) send(m *replicav1.FollowRequest) error {
	if err := c.stream.Send(m); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// take takes one message, and what else has come of the same kind.
func (c *connection) take(m *replicav1.FollowResponse) error {
	s := &c.f.state
	if _, ok := m.GetMessage().(*replicav1.FollowResponse_Current); !ok {
		defer func() { c.moved = time.Now() }() // it may take its time
	}
	switch m := m.GetMessage().(type) {
	case *replicav1.FollowResponse_Welcome:
		return c.welcome(m.Welcome)
	case *replicav1.FollowResponse_Entries:
		return c.apply(m.Entries.GetEntries())
	case *replicav1.FollowResponse_SnapshotBegin:
		return c.beginSnapshot(m.SnapshotBegin)
	case *replicav1.FollowResponse_SnapshotChunk:
		if c.fetch == nil {
			return ErrOrder
		}
		return c.fetch.chunk(m.SnapshotChunk)
	case *replicav1.FollowResponse_SnapshotEnd:
		if c.fetch == nil {
			return ErrOrder
		}
		return c.endSnapshot(m.SnapshotEnd)
	case *replicav1.FollowResponse_Current:
		at, err := readPosition(m.Current.GetPosition())
		if err != nil {
			return err
		}
		if err := s.Answered(at, m.Current.GetNumber()); err != nil {
			return err
		}
		c.f.proven(m.Current.GetNow().AsTime())
		return nil
	}
	return ErrOrder
}

// proven notes an answer.
func (f *Follower) proven(hub time.Time) {
	f.mu.Lock()
	f.hubTime, f.heard = hub, time.Now()
	f.mu.Unlock()
	f.publish()
	f.noteLease(false)
}

func (c *connection) welcome(m *replicav1.Welcome) error {
	f := c.f
	at, err := readPosition(m.GetPosition())
	if err != nil {
		return err
	}
	if c.origin = m.GetOrigin(); !native(f.o.DB.Origin(), c.origin) && !f.state.AcceptOlder {
		return fmt.Errorf("%w: it is at %s", ErrForeign, at)
	}
	if err := f.state.Welcomed(at, readCourse(m.GetCourse())); err != nil {
		return err
	}
	if c.hubAt = at; at == f.stuck {
		return fmt.Errorf("%w: they couldn't be used, and nothing was written since: bring this program up to date, or take them back at the hub", storage.ErrPolicies)
	}
	c.welcomed = true
	f.mu.Lock()
	f.hub, f.fed, f.problem = c.hub.Name, c.hub, ""
	f.mu.Unlock()
	f.publish()
	f.log.Info("following a hub", "hub", c.hub.Name, "hub_revision", at.Revision, "revision", f.state.At.Revision, "snapshot", m.GetCourse() == replicav1.Course_COURSE_SNAPSHOT)
	return c.ask(sinceBoot())
}

// refused notes that the store doesn't take what came. Where it may take it later, that is all; else only a snapshot
// helps: of policies that this version doesn't know the hub may have others by now.
func (c *connection) refused(err error) error {
	for _, later := range []error{storage.ErrDisk, storage.ErrFailed, storage.ErrMoved, storage.ErrClosed, context.Canceled} {
		if errors.Is(err, later) {
			return err
		}
	}
	c.f.state.Refused()
	if errors.Is(err, storage.ErrPolicies) {
		c.f.stuck = c.hubAt
	}
	return err
}
