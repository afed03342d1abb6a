package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/latchkey/latchkey/key"
	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// A replica that no hub lets in tries again and again: the log has each reason once, and no session is counted that never began.
func TestWhyNoHubFeedsIsToldOnce(t *testing.T) {
	var log bytes.Buffer
	f := &Follower{log: slog.New(slog.NewTextHandler(&log, nil)), told: map[string]bool{}}
	f.changed.Store(new(make(chan struct{})))
	f.metrics = newFollowerMetrics(f)
	lines := func() int { return strings.Count(log.String(), "no hub feeds this replica") }
	counted := func() float64 {
		var m dto.Metric
		if err := f.metrics.sessions.WithLabelValues(lost).Write(&m); err != nil {
			t.Fatal(err)
		}
		return m.GetCounter().GetValue()
	}
	fail := func(port int) error {
		return fmt.Errorf("hub:9443: read tcp 10.0.0.7:%d->10.0.0.1:9443: remote error: tls: bad certificate", port)
	}
	for i := range 20 {
		f.ended(false, fail(40000+i))
		f.ended(false, errors.New("hub:9443: connection reset by peer"))
	}
	if lines() != 2 || counted() != 0 {
		t.Errorf("%d lines, %g sessions lost:\n%s", lines(), counted(), log.String())
	}
	if p := f.Status().Problem; p == "" || strings.Contains(p, ":40") {
		t.Errorf("the problem is %q", p)
	}
	// One that began is counted, and what follows is told anew.
	f.hub = "hub:9443"
	f.ended(true, fail(50000))
	f.ended(false, fail(50001))
	if lines() != 3 || counted() != 1 {
		t.Errorf("%d lines, %g sessions lost:\n%s", lines(), counted(), log.String())
	}
	// However many reasons there are, there is a limit to what is remembered.
	for i := range 10 * mostReasons {
		f.ended(false, fmt.Errorf("reason %d", i))
	}
	if len(f.told) > mostReasons {
		t.Errorf("%d reasons are remembered", len(f.told))
	}
}

// goneHub is a hub that has said something, and why it ended the session, before the replica says more than Hello.
type goneHub struct {
	grpc.ClientConnInterface
	says responses
	why  error
}

func (h goneHub) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return &goneStream{reader: reader{says: h.says}, why: h.why}, nil
}

type goneStream struct {
	reader
	hello bool
	why   error
}

func (s *goneStream) SendMsg(any) error {
	if s.hello {
		return io.EOF // as gRPC has it of a stream that is over
	}
	s.hello = true
	return nil
}

func (s *goneStream) RecvMsg(m any) error {
	if err := s.reader.RecvMsg(m); !errors.Is(err, io.EOF) {
		return err
	}
	return s.why
}

// What a hub had sent when it ended a session counts, and why it did is told, also where the replica meets the end by
// saying something.
func TestASessionThatIsOverCountsToItsEnd(t *testing.T) {
	h, r, _ := liedTo(t)
	at := r.db.Position()
	r.stop(t)
	revoke(t, h.db, record(1).ID)
	r = startReplica(t, r.dir, time.Second, Target{Name: "hub", Connection: goneHub{says: tell(t, h.db, at).log(), why: errReplaced}})
	await(t, r.db, h.db.Position())
	eventually(t, "why it ended is told", func() bool { return r.said("took its place") })
}

// A session that another has taken the place of says nothing of its replica any more, whatever of it is still on its way.
func TestAReplacedSessionIsNotListenedTo(t *testing.T) {
	h := hubWith(t, 1)
	m := &member{session: &subscription{}}
	old := &subscription{hub: h.Hub, member: m}
	for what, says := range map[string]*replicav1.FollowRequest{
		"applied": {Message: &replicav1.FollowRequest_Applied{Applied: &replicav1.Applied{Position: wirePosition(h.db.Position())}}},
		"ask":     {Message: &replicav1.FollowRequest_Ask{Ask: &replicav1.Ask{Number: 1}}},
		"trouble": {Message: &replicav1.FollowRequest_Trouble{Trouble: &replicav1.Trouble{Text: "its disk is full"}}},
	} {
		if err := old.take(says); !errors.Is(err, errReplaced) || m.trouble != "" || m.Leased || m.Applied != (storage.Position{}) {
			t.Errorf("%s: %v, and the replica is %+v", what, err, m.Peer)
		}
	}
}

// Why a hub ends a session is told, also where the replica has something to say to it just then.
func TestWhyAHubEndsASession(t *testing.T) {
	db := storagetest.New(t)
	commit(t, db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(1)}})
	s := tell(t, db, db.Position())
	why := status.Error(codes.Unavailable, "the hub is moved")
	for name, says := range map[string]responses{"at its welcome": s.snapshot()[:1], "at a snapshot": s.snapshot()} {
		dir := storagetest.Dir(t)
		f := newFollower(t, storagetest.Open(t, dir, storage.Options{Replica: true}), dir)
		c, err := f.connect(t.Context(), Target{Name: "hub", Connection: goneHub{says: says, why: why}})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.run(); status.Code(err) != codes.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
		c.close()
	}
}

// A hub hears why a session ends each time, although the replica breaks it off.
func TestAHubHearsWhyASessionEnds(t *testing.T) {
	restored, folder, _ := reviving(t)
	to := restored.target(t)
	f := newFollower(t, storagetest.Open(t, folder, storage.Options{Replica: true}), folder)
	for n := range 20 {
		c, err := f.connect(t.Context(), to)
		if err != nil {
			t.Fatal(err)
		}
		err = c.run()
		if all := restored.Replicas(); !refused(err) || len(all) != 1 || !strings.Contains(all[0].Trouble, record(3).ID) {
			t.Errorf("session %d ended with %v, and the hub has %+v", n, err, all)
		}
		c.close()
	}
}
