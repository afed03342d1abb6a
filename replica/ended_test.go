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
	"google.golang.org/protobuf/proto"

	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage"
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
	return &goneStream{left: h.says, why: h.why}, nil
}

type goneStream struct {
	grpc.ClientStream
	hello bool
	left  responses
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
	if len(s.left) == 0 {
		return s.why
	}
	proto.Merge(m.(proto.Message), s.left[0])
	s.left = s.left[1:]
	return nil
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
