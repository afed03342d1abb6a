package replica

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// until reads until the session ends, and returns why.
func until(t testing.TB, s replicav1.ReplicaService_FollowClient) error {
	t.Helper()
	ended := make(chan error, 1)
	go func() {
		for {
			if _, err := s.Recv(); err != nil {
				ended <- err
				return
			}
		}
	}()
	select {
	case err := <-ended:
		return err
	case <-time.After(soon):
		t.Fatal("the session doesn't end")
		return nil
	}
}

// A Hello that can't be one is refused with a reason, and leaves nothing behind.
func TestHellosThatAreRefused(t *testing.T) {
	h := hubWith(t, 3)
	to := h.target(t)
	at := h.db.Position()
	for name, change := range map[string]func(*replicav1.Hello){
		"no id":                     func(m *replicav1.Hello) { m.Id = "" },
		"a short id":                func(m *replicav1.Hello) { m.Id = "0123456789abcdef" },
		"a long id":                 func(m *replicav1.Hello) { m.Id += "00" },
		"an id that isn't hex":      func(m *replicav1.Hello) { m.Id = strings.Repeat("x", 32) },
		"an id that is a path":      func(m *replicav1.Hello) { m.Id = "../../../../../../etc/passwd-0000" },
		"a name with a line break":  func(m *replicav1.Hello) { m.Name = "pod\nlevel=ERROR" },
		"a name with an escape":     func(m *replicav1.Hello) { m.Name = "\x1b[31mpod" },
		"a name that isn't ASCII":   func(m *replicav1.Hello) { m.Name = "pöd" },
		"a name without an end":     func(m *replicav1.Hello) { m.Name = strings.Repeat("n", 254) },
		"a version with a NUL":      func(m *replicav1.Hello) { m.Version = "1\x00" },
		"a version without an end":  func(m *replicav1.Hello) { m.Version = strings.Repeat("1", 129) },
		"an older protocol":         func(m *replicav1.Hello) { m.Protocol = 0 },
		"a newer protocol":          func(m *replicav1.Hello) { m.Protocol = 2 },
		"a staleness below zero":    func(m *replicav1.Hello) { m.MaxStaleness = durationpb.New(-1) },
		"a staleness of zero":       func(m *replicav1.Hello) { m.MaxStaleness = durationpb.New(0) },
		"a staleness of ages":       func(m *replicav1.Hello) { m.MaxStaleness = durationpb.New(longestLimit + 1) },
		"a staleness beyond reason": func(m *replicav1.Hello) { m.MaxStaleness = &durationpb.Duration{Seconds: 1 << 62} },
		"a staleness of no sense":   func(m *replicav1.Hello) { m.MaxStaleness = &durationpb.Duration{Seconds: 1, Nanos: -5} },
		"a digest of three bytes":   func(m *replicav1.Hello) { m.Position.Digest = []byte("abc") },
	} {
		hello := helloOf(1, at, time.Hour)
		change(hello)
		_, m, err := greet(t, to, hello)
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
	for name, first := range map[string]*replicav1.FollowRequest{
		"an acknowledgement":    {Message: &replicav1.FollowRequest_Applied{Applied: &replicav1.Applied{Position: wirePosition(at)}}},
		"a question":            {Message: &replicav1.FollowRequest_Ask{Ask: &replicav1.Ask{Number: 1}}},
		"a trouble":             {Message: &replicav1.FollowRequest_Trouble{Trouble: &replicav1.Trouble{Text: "none"}}},
		"nothing":               {},
		"a Hello without words": {Message: &replicav1.FollowRequest_Hello{}},
	} {
		s, err := replicav1.NewReplicaServiceClient(to.Connection).Follow(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Send(first); err != nil {
			t.Fatal(err)
		}
		if err := until(t, s); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s first: %v", name, err)
		}
	}
	if known := h.Replicas(); len(known) > 0 {
		t.Errorf("the hub knows %+v", known)
	}
}

func TestAPeerThatNeverSaysHello(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes ten seconds")
	}
	h := hubWith(t, 1)
	s, err := replicav1.NewReplicaServiceClient(h.target(t).Connection).Follow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := until(t, s); status.Code(err) != codes.DeadlineExceeded {
		t.Error(err)
	}
}

// Who lies in his session is cut off, and what he said doesn't count.
func TestRepliesThatAreRefused(t *testing.T) {
	h := hubWith(t, 5)
	at := h.db.Position()
	moved := func(change func(*storage.Position)) *replicav1.FollowRequest {
		p := at
		change(&p)
		return &replicav1.FollowRequest{Message: &replicav1.FollowRequest_Applied{Applied: &replicav1.Applied{Position: wirePosition(p)}}}
	}
	trouble := func(text string) *replicav1.FollowRequest {
		return &replicav1.FollowRequest{Message: &replicav1.FollowRequest_Trouble{Trouble: &replicav1.Trouble{Text: text}}}
	}
	bad := moved(func(*storage.Position) {})
	bad.GetApplied().Position.Digest = []byte{1}
	n := 0
	for name, says := range map[string]*replicav1.FollowRequest{
		"it has what wasn't sent":           moved(func(p *storage.Position) { p.Revision++ }),
		"it has all there will ever be":     moved(func(p *storage.Position) { p.Revision = 1<<64 - 1 }),
		"it is of a later lineage":          moved(func(p *storage.Position) { p.Epoch++ }),
		"it goes back":                      moved(func(p *storage.Position) { p.Revision-- }),
		"it goes back to nothing":           {Message: &replicav1.FollowRequest_Applied{}},
		"its digest isn't one":              bad,
		"another Hello":                     {Message: &replicav1.FollowRequest_Hello{Hello: helloOf(99, at, time.Hour)}},
		"nothing":                           {},
		"a trouble of several lines":        trouble("it\nis"),
		"a trouble that colours the screen": trouble("\x1b[31m"),
		"a trouble without an end":          trouble(strings.Repeat("x", 1025)),
	} {
		n++
		s, _, err := greet(t, h.target(t), helloOf(n, at, time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Send(says); err != nil {
			t.Fatal(err)
		}
		if err := until(t, s); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, r := range h.Replicas() {
		if r.Position != at || r.Trouble != "" {
			t.Errorf("the hub believes it: %+v", r)
		}
	}
	if len(h.Replicas()) != n {
		t.Errorf("%d replicas of %d", len(h.Replicas()), n)
	}
}

// Who begins with a snapshot has acknowledged nothing before it was sent.
func TestNothingIsAcknowledgedBeforeASnapshot(t *testing.T) {
	h := hubWith(t, 5)
	at := h.db.Position()
	hello := helloOf(1, at, time.Hour)
	hello.Snapshot = true
	s, m, err := greet(t, h.target(t), hello)
	if err != nil || m.GetWelcome().GetCourse() != replicav1.Course_COURSE_SNAPSHOT {
		t.Fatal(m, err)
	}
	if r := h.Replicas()[0]; r.Position != (storage.Position{}) {
		t.Errorf("it has %s", r.Position)
	}
	if err := s.Send(&replicav1.FollowRequest{Message: &replicav1.FollowRequest_Ask{Ask: &replicav1.Ask{Number: 1}}}); err != nil {
		t.Fatal(err)
	}
	for order := ""; ; {
		m, err := s.Recv()
		if err != nil {
			t.Fatal(err)
		}
		order += fmt.Sprintf("%T ", m.GetMessage())
		if m.GetCurrent() != nil {
			if !strings.Contains(order, "SnapshotEnd") {
				t.Errorf("it is said to be up to date before the snapshot: %s", order)
			}
			return
		}
	}
}

// Of two connections of one id the newer counts. The older is told when it says something, which does nothing any more.
func TestTwoConnectionsOfOneReplica(t *testing.T) {
	h := hubWith(t, 5)
	at := h.db.Position()
	older, _, err := greet(t, h.target(t), helloOf(1, at, time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	newer, _, err := greet(t, h.target(t), helloOf(1, at, time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if err := older.Send(question(1)); err != nil {
		t.Fatal(err)
	}
	if err := until(t, older); status.Code(err) != codes.Aborted || !strings.Contains(err.Error(), "copies of one data folder") {
		t.Error(err)
	}
	askAndRead(t, newer, 1)
	next := revoke(t, h.db, record(1).ID)
	if err := newer.Send(&replicav1.FollowRequest{Message: &replicav1.FollowRequest_Ask{Ask: &replicav1.Ask{Number: 2}}}); err != nil {
		t.Fatal(err)
	}
	for came := false; !came; {
		m, err := newer.Recv()
		if err != nil {
			t.Fatal(err)
		}
		came = len(m.GetEntries().GetEntries()) > 0
	}
	if err := newer.Send(&replicav1.FollowRequest{Message: &replicav1.FollowRequest_Applied{Applied: &replicav1.Applied{Position: wirePosition(next)}}}); err != nil {
		t.Fatal(err)
	}
	if r := receipt(t, h.Hub, next); !r.Complete() || r.Applied != 1 || r.Replicas != 1 {
		t.Errorf("%+v", r)
	}
	if all := h.Replicas(); len(all) != 1 || !all[0].Connected {
		t.Errorf("%+v", all)
	}
}

// Fresh ids are no way to fill the hub's memory: there is a number of them, and then only those who are known come in.
func TestThereIsRoomForSoManyReplicas(t *testing.T) {
	h := hubWith(t, 1)
	at := h.db.Position()
	if _, _, err := greet(t, h.target(t), helloOf(1, at, time.Hour)); err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	for n := len(h.members); n < maxMembers; n++ {
		key := memberKey{"test", fmt.Sprintf("%032x", 1_000_000+n)}
		h.members[key] = &member{memberKey: key, Peer: Peer{Limit: time.Hour}}
	}
	h.mu.Unlock()
	for n := range 100 {
		_, _, err := greet(t, h.target(t), helloOf(2+n, at, time.Hour))
		if status.Code(err) != codes.ResourceExhausted {
			t.Fatal(err)
		}
	}
	if _, _, err := greet(t, h.target(t), helloOf(1, at, time.Hour)); err != nil {
		t.Errorf("one that is known: %v", err)
	}
	if n := len(h.Replicas()); n != maxMembers {
		t.Errorf("the hub has %d", n)
	}
	// Those that never got a lease are forgotten.
	h.Hub.start = time.Now().Add(-2 * goneFor)
	h.tidy()
	if _, _, err := greet(t, h.target(t), helloOf(5000, at, time.Hour)); err != nil {
		t.Errorf("there is room: %v", err)
	}
}

// A stranger is told that he is one, and nothing else.
func TestStrangers(t *testing.T) {
	h := startHub(t, storagetest.Dir(t))
	h.identify = nobody
	to := h.target(t)
	if m, err := replicav1.NewReplicaServiceClient(to.Connection).Locate(t.Context(), &replicav1.LocateRequest{}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("Locate: %v, %v", m, err)
	}
	if _, m, err := greet(t, to, helloOf(1, storage.Position{}, 0)); status.Code(err) != codes.PermissionDenied {
		t.Errorf("Follow: %v, %v", m, err)
	}
	if len(h.Replicas()) != 0 {
		t.Error("he is written down")
	}
}
