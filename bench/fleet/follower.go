package main

import (
	"errors"
	"fmt"
	"sync/atomic"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	keyv1 "github.com/latchkey/latchkey/proto/latchkey/key/v1"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
)

// follower is a light replica: it has the hub's position from the beginning, and of all that follows keeps where it
// is. Its own goroutine alone touches it, but for the number of its question.
type follower struct {
	crowd  *crowd
	call   *call
	at     *logv1.Position
	asked  atomic.Uint64
	proven uint64 // number of the newest question that was answered
}

// hello says who the nth follower is, at a position.
func hello(n int, at *logv1.Position) *replicav1.FollowRequest {
	return &replicav1.FollowRequest{Message: &replicav1.FollowRequest_Hello{Hello: &replicav1.Hello{
		Protocol: 1, Id: fmt.Sprintf("%032x", n), Name: fmt.Sprintf("light-%d", n), Version: "fleet",
		Position: at, MaxStaleness: durationpb.New(maxStaleness),
	}}}
}

func (f *follower) say(m *replicav1.FollowRequest) error {
	b, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	return f.call.send(b)
}

// ask asks whether the follower is up to date.
func (f *follower) ask() error {
	return f.say(&replicav1.FollowRequest{Message: &replicav1.FollowRequest_Ask{Ask: &replicav1.Ask{Number: f.asked.Add(1)}}})
}

// hear takes the next message of the hub.
func (f *follower) hear() error {
	b, err := f.call.receive()
	if err != nil {
		return err
	}
	var m replicav1.FollowResponse
	if err := proto.Unmarshal(b, &m); err != nil {
		return err
	}
	switch m := m.GetMessage().(type) {
	case *replicav1.FollowResponse_Welcome:
		if course := m.Welcome.GetCourse(); course != replicav1.Course_COURSE_ENTRIES {
			return fmt.Errorf("the hub goes on with %v, and not with the entries that follow %v", course, f.at)
		}
		return nil
	case *replicav1.FollowResponse_Entries:
		return f.apply(m.Entries.GetEntries())
	case *replicav1.FollowResponse_Current:
		return f.current(m.Current)
	}
	return errors.New("the hub sends what nobody asked for")
}

// apply takes entries, and acknowledges them.
func (f *follower) apply(entries []*logv1.Entry) error {
	waiting := f.crowd.waiting.Load()
	found := false
	for _, e := range entries {
		if e.GetRevision() != f.at.GetRevision()+1 || e.GetEpoch() != f.at.GetEpoch() {
			return fmt.Errorf("revision %d of epoch %d comes after %d of %d", e.GetRevision(), e.GetEpoch(), f.at.GetRevision(), f.at.GetEpoch())
		}
		f.at = &logv1.Position{Epoch: e.GetEpoch(), Revision: e.GetRevision(), Digest: e.GetDigest()}
		if waiting == nil {
			continue
		}
		for _, p := range e.GetPuts() {
			if p.GetName() != waiting.key {
				continue
			}
			var record keyv1.Record
			if err := proto.Unmarshal(p.GetValue(), &record); err != nil {
				return err
			}
			found = record.GetRevoked() != nil
		}
	}
	f.crowd.entries.Add(uint64(len(entries)))
	err := f.say(&replicav1.FollowRequest{Message: &replicav1.FollowRequest_Applied{Applied: &replicav1.Applied{Position: f.at}}})
	if found {
		waiting.one()
	}
	return err
}

// current takes the answer to a question.
func (f *follower) current(m *replicav1.Current) error {
	if n := m.GetNumber(); n <= f.proven || n > f.asked.Load() {
		return fmt.Errorf("question %d was answered, after %d of %d", n, f.proven, f.asked.Load())
	}
	if !proto.Equal(m.GetPosition(), f.at) {
		return fmt.Errorf("the hub was at %v and sent nothing after %v", m.GetPosition(), f.at)
	}
	f.proven = m.GetNumber()
	f.crowd.answers.Add(1)
	return nil
}
