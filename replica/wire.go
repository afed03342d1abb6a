package replica

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage"
)

// protocol is the version of the protocol.
const protocol = 1

func wirePosition(p storage.Position) *logv1.Position {
	return &logv1.Position{Epoch: p.Epoch, Revision: p.Revision, Digest: p.Digest[:]}
}

// readPosition reads a position of a peer. None is the zero position.
func readPosition(m *logv1.Position) (storage.Position, error) {
	p := storage.Position{Epoch: m.GetEpoch(), Revision: m.GetRevision()}
	switch digest := m.GetDigest(); {
	case m == nil:
	case len(digest) != len(p.Digest):
		return storage.Position{}, fmt.Errorf("a position has a digest of %d bytes instead of %d", len(digest), len(p.Digest))
	default:
		p.Digest = storage.Digest(digest)
	}
	return p, nil
}

var courses = map[Course]replicav1.Course{
	Entries: replicav1.Course_COURSE_ENTRIES, Snapshot: replicav1.Course_COURSE_SNAPSHOT, Behind: replicav1.Course_COURSE_BEHIND,
	Other: replicav1.Course_COURSE_OTHER,
}

func readCourse(m replicav1.Course) Course {
	for c, wire := range courses {
		if wire == m {
			return c
		}
	}
	return Undecided
}

// longestLimit is the longest lease that isn't without limit.
const longestLimit = 366 * 24 * time.Hour

func wireLimit(limit time.Duration) *durationpb.Duration {
	if limit == 0 {
		return nil
	}
	return durationpb.New(limit)
}

// readLimit reads how long a lease runs; zero is without limit, and what is absent.
func readLimit(m *durationpb.Duration) (time.Duration, error) {
	if m == nil {
		return 0, nil
	}
	d := m.AsDuration()
	if m.CheckValid() != nil || d <= 0 || d > longestLimit {
		return 0, errors.New("a staleness must be more than 0 and at most a year, or absent for no limit")
	}
	return d, nil
}

// leaseAge is how a Hello tells of the lease that the replica holds; nil for none.
func (s *State) leaseAge(now Instant) *durationpb.Duration {
	age, ok := s.Lease.Age(now)
	if !ok {
		return nil
	}
	return durationpb.New(max(age, 0))
}
