package replica

import (
	"encoding/hex"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
)

// hello waits for the first message.
func (s *subscription) hello() (*replicav1.Hello, error) {
	type first struct {
		m   *replicav1.FollowRequest
		err error
	}
	came := make(chan first, 1)
	go func() {
		m, err := s.stream.Recv()
		came <- first{m, err}
	}()
	patience := time.NewTimer(helloTime)
	defer patience.Stop()
	select {
	case <-patience.C:
		return nil, errHello
	case f := <-came:
		if f.err != nil {
			return nil, f.err
		}
		return f.m.GetHello(), validHello(f.m.GetHello())
	}
}

// validHello returns what is wrong with a Hello.
func validHello(m *replicav1.Hello) error {
	wrong := func(format string, args ...any) error { return status.Errorf(codes.InvalidArgument, format, args...) }
	id, err := hex.DecodeString(m.GetId())
	switch {
	case m == nil:
		return wrong("the first message must be a Hello")
	case m.GetProtocol() != protocol:
		return wrong("this hub speaks version %d of the protocol, and the replica version %d: run versions of Latchkey that are closer together", protocol, m.GetProtocol())
	case err != nil || len(id) != 16:
		return wrong("the replica's id must be 32 hex digits")
	case !printable(m.GetName(), 253) || !printable(m.GetVersion(), 128):
		return wrong("the replica's name and version must be short and printable")
	}
	if _, err := readLimit(m.GetMaxStaleness()); err != nil {
		return wrong("max_staleness: %v", err)
	}
	if _, err := readPosition(m.GetPosition()); err != nil {
		return wrong("position: %v", err)
	}
	if age := m.GetLeaseAge(); age != nil && (age.CheckValid() != nil || age.AsDuration() < 0) {
		return wrong("lease_age must not be negative")
	}
	return nil
}

// printable reports whether a text is short and of printable ASCII: it stands in logs and tables.
func printable(text string, most int) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return len(text) <= most
}

// welcome decides how to go on, notes the replica, and tells it.
func (s *subscription) welcome(hello *replicav1.Hello) (Course, error) {
	at, _ := readPosition(hello.GetPosition())
	limit, _ := readLimit(hello.GetMaxStaleness())
	now := s.hub.db.Position()
	_, why := s.hub.db.Since(at, 1)
	course := CourseFor(now, at, hello.GetSnapshot(), why)
	if course == Undecided {
		s.hub.log.Error("the store can't be read for a replica", "error", why)
		return course, status.Error(codes.Unavailable, "the hub can't read its store: its log tells why")
	}
	if course == Entries {
		s.sent, s.furthest = at, at
	}
	s.insists = hello.GetSnapshot()
	begin := beginning{limit: limit, at: at, course: course, leased: hello.GetLeaseAge() != nil, age: hello.GetLeaseAge().AsDuration()}
	if err := s.hub.join(s, hello, begin); err != nil {
		return course, err
	}
	return course, s.send(&replicav1.FollowResponse{Message: &replicav1.FollowResponse_Welcome{Welcome: &replicav1.Welcome{
		Position: wirePosition(now), Course: courses[course], Origin: s.hub.db.Origin(),
	}}})
}
