package replica

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage"
)

// What a replica is told when its session can't be, or ends.
var (
	errStranger = status.Error(codes.PermissionDenied, "this identity may not follow: add it to `followers` in the hub's configuration")
	errFull     = status.Errorf(codes.ResourceExhausted, "the hub has %d replicas, and no more: spread them over several hubs", maxMembers)
	errReplaced = status.Error(codes.Aborted, "another connection of this replica took its place: if that wasn't it, two replicas run on copies of one data folder")
	errBehind   = status.Error(codes.FailedPrecondition, "this replica is ahead of the hub")
	errOther    = status.Error(codes.FailedPrecondition, "this replica is of the hub's epoch, and of another history")
	errHello    = status.Error(codes.DeadlineExceeded, "no Hello came")
)

// subscription is one replica's stream. The goroutine of Follow receives, the hub's senders send.
type subscription struct {
	hub      *Hub
	stream   grpc.BidiStreamingServer[replicav1.FollowRequest, replicav1.FollowResponse]
	identity string

	// Written before it is served.
	member  *member
	name    string // of the replica, as it says in this session
	insists bool   // the replica asked for a snapshot itself

	// Guarded by senders.mu.
	turn     turn
	retiring chan struct{} // closed once the last turn has ended; nil while nobody waits for that

	// Of the sender whose turn it is.
	sent  storage.Position // all up to it was sent
	whole bool             // a snapshot comes first

	// Guarded by Hub.mu.
	furthest storage.Position // what sent was last seen to be
	number   uint64           // of a question that waits for its answer; 0: none
	came     Instant          // when it came
	due      storage.Position // where the hub was then
	told     storage.Position // of the newest answer
	toldOf   Instant          // when its question had come
	over     error            // why the session ends
}

// Follow feeds one replica.
func (h *Hub) Follow(stream grpc.BidiStreamingServer[replicav1.FollowRequest, replicav1.FollowResponse]) error {
	identity, ok := h.identify(stream.Context())
	if !ok {
		return errStranger
	}
	s := &subscription{hub: h, stream: stream, identity: identity}
	hello, err := s.hello()
	if err != nil {
		return err
	}
	defer h.leave(s)
	course, err := s.welcome(hello)
	if err != nil {
		return err
	}
	h.metrics.session(course)
	switch course {
	case Behind:
		return errBehind
	case Other:
		return errOther
	}
	s.whole = course == Snapshot
	defer h.senders.retire(s)
	h.senders.begin(s)
	return s.receive()
}

// send sends a message, encoded already or not.
func (s *subscription) send(m any) error { return s.stream.SendMsg(m) }

// serve sends what is to be sent now. Why it can't ends the session.
func (s *subscription) serve() {
	err := s.feed()
	if err == nil {
		return
	}
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.end(err)
}

// feed sends what follows, and answers, until there is nothing more to send.
func (s *subscription) feed() error {
	h := s.hub
	for {
		if err := s.ended(); err != nil {
			return err
		}
		if s.whole {
			if err := s.snapshot(); err != nil {
				return err
			}
			s.whole = false
		}
		if err := s.answer(); err != nil {
			return err
		}
		if s.sent == h.db.Position() {
			return nil
		}
		m, to, err := h.feed.after(s.sent)
		switch {
		case errors.Is(err, storage.ErrTrimmed), errors.Is(err, storage.ErrDiverged):
			s.whole = true // it was too slow for the log
			continue
		case err != nil:
			h.log.Error("the store can't be read for a replica", "error", err)
			return status.Error(codes.Unavailable, "the hub can't read its store: its log tells why")
		case m == nil:
			return nil
		}
		s.expect(to)
		if err := s.send(m); err != nil {
			return err
		}
		s.sent = to
		h.metrics.sent(m)
	}
}

// expect notes what the replica may acknowledge from now on.
func (s *subscription) expect(to storage.Position) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.furthest = to
}

func (s *subscription) ended() error {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return s.over
}

// answer answers a question that waits, once all is sent that was there when it came: more may be there by now,
// and who asks need not wait for that.
func (s *subscription) answer() error {
	h := s.hub
	h.mu.Lock()
	number := s.number
	if number == 0 || s.sent.Before(s.due) || s.member.session != s {
		h.mu.Unlock()
		return nil
	}
	s.number = 0
	s.told, s.toldOf = s.sent, s.came
	s.proves()
	h.mu.Unlock()
	return s.send(&replicav1.FollowResponse{Message: &replicav1.FollowResponse_Current{Current: &replicav1.Current{
		Position: wirePosition(s.sent), Number: number, Now: timestamppb.Now(),
	}}})
}

// proves notes that the newest answer proves the replica, where it has applied what the answer told of: what people
// are shown. Hub.mu must be held.
func (s *subscription) proves() {
	if s.toldOf > 0 && !s.member.Applied.Before(s.told) {
		s.member.proven = s.toldOf
	}
}

// receive takes what the replica says until the session ends. Of an end that isn't its doing it hears when it says
// something the next time, which is soon: it asks all the time.
func (s *subscription) receive() error {
	for {
		m, err := s.stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			err = context.Canceled
		case err == nil:
			if err = s.ended(); err == nil {
				err = s.take(m)
			}
		}
		if err != nil {
			s.hub.mu.Lock()
			defer s.hub.mu.Unlock()
			return s.end(err)
		}
	}
}

// end ends the session, unless it is over already, and returns why it is. Hub.mu must be held.
func (s *subscription) end(why error) error {
	if s.over == nil {
		s.over = why
	}
	return s.over
}

// take takes one message.
func (s *subscription) take(m *replicav1.FollowRequest) error {
	h := s.hub
	switch m := m.GetMessage().(type) {
	case *replicav1.FollowRequest_Applied:
		at, err := readPosition(m.Applied.GetPosition())
		if err != nil {
			return status.Error(codes.InvalidArgument, err.Error())
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if s.member.session != s {
			return errReplaced
		}
		if s.furthest.Before(at) || at.Before(s.member.Applied) {
			return status.Error(codes.InvalidArgument, "the replica acknowledges what it wasn't sent")
		}
		s.member.Applied, s.member.trouble, s.member.seen = at, "", time.Now()
		s.proves()
		h.signalLocked()
	case *replicav1.FollowRequest_Ask:
		h.mu.Lock()
		defer h.mu.Unlock()
		if s.member.session != s {
			return errReplaced
		}
		// In this order, and while no receipt is made: what is written later isn't in the position.
		came := h.now()
		s.number, s.came, s.due, s.member.seen = m.Ask.GetNumber(), came, h.db.Position(), time.Now()
		s.member.Question(came, s.due)
		h.senders.wake(s)
	case *replicav1.FollowRequest_Trouble:
		if !printable(m.Trouble.GetText(), 1024) {
			return status.Error(codes.InvalidArgument, "a trouble must be short and printable")
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if s.member.session != s {
			return errReplaced
		}
		s.member.trouble = m.Trouble.GetText()
		if s.member.trouble != "" {
			h.log.Warn("a replica doesn't go on", "replica", s.name, "identity", s.identity, "why", s.member.trouble)
		}
	default:
		return status.Error(codes.InvalidArgument, "this message has no place here")
	}
	return nil
}
